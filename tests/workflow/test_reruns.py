"""Every line of the table of reruns: what changes, and what then runs."""

import csv
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from somaray.records import Execution, read_record
from support.workflow import TINY, Checkout

TABLES = {
    "write_tables",
    "write_recommend",
    "write_allocations_document",
    "write_findings",
    "verdict",
    "draw_plots",
    "write_report",
    "write_index",
}
A_RUN = {"capture_run", "time_run", "summarise_allocations", "draw_flame_graphs", "check_agreement"}
RUN_JOBS = Counter(A_RUN)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    """A checkout whose workflow has run to its end."""
    checkout = Checkout.make(tmp_path_factory.mktemp("finished") / "somaray", TINY)
    checkout.run("--cores", "2")
    return checkout


@pytest.fixture
def checkout(finished, tmp_path) -> Checkout:
    """A copy of it to change."""
    return finished.copy(tmp_path / "somaray")


def runs_of(planned, rule: str = "capture_run") -> list[str]:
    return sorted(job.output for job in planned if job.rule == rule)


def edit(checkout: Checkout, file: str, old: str, new: str) -> None:
    path = checkout.folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_nothing_changed_nothing_runs(checkout) -> None:
    assert checkout.planned() == []


def test_constants_of_this_host_and_what_is_recommended_run_nothing(checkout) -> None:
    """From finished runs: the plan's own constants, which change what jobs ask for, and settings to copy."""
    before = checkout.somaray("plan")
    assert "## tiny\n\n240 cells, 120 genes, " in before
    assert "Constants: those shipped, fitted from " in before
    after = checkout.somaray("plan", "--fit")
    assert ": in-memory from 1 run, soma-dask from 2 runs; those shipped for " in after
    assert checkout.planned() == []
    constants = checkout.folder / "results/plan/constants.json"
    constants.write_text(constants.read_text().replace('"obs value"', '"cell"'))
    done = checkout.run("--cores", "2", "--dry-run", check=False)
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "results/plan/constants.json: constants of another version's model" in told
    assert "Traceback" not in told

    written = (checkout.folder / "results/tables/recommend.md").read_text()
    rows = list(csv.DictReader((checkout.folder / "results/tables/runs.csv").open()))
    fastest = min(rows, key=lambda row: float(row["wall_seconds"]))
    assert re.search(rf"^\| 8 GiB( to \d+ GiB)? \| {fastest['method']} \| \[", written, re.MULTILINE)
    assert all(int(row["predicted_peak_pss_bytes"]) > 0 and float(row["predicted_seconds"]) > 0 for row in rows)
    printed = checkout.somaray("recommend", "--memory", "8GiB")
    assert f"| 8 GiB | {fastest['method']} | " in printed
    assert "16 GiB" not in printed
    # The code of what is recommended is the same in both.
    block = printed.partition("```python\n")[2].partition("```")[0]
    assert block in written


def test_a_variant_runs_its_runs_and_none_other(checkout) -> None:
    """Added, changed, reordered, and taken out again."""
    path = "results/hvg/tiny/soma-dask/100_0x1x1_lean/capture.json"
    only = [{"method": "soma-dask", "parallelism": "0x1x1"}]
    lean = {
        "tiledb": {"sm.mem.total_budget": "1GiB", "soma.init_buffer_bytes": "8MiB"},
        "obs_columns": [],
        "only": only,
    }
    checkout.configure({**TINY, "variants": {"default": {}, "lean": lean}})
    planned = checkout.planned()
    assert runs_of(planned) == [path]
    assert Counter(job.rule for job in planned) == RUN_JOBS + Counter(TABLES)

    checkout.run("--cores", "2")
    execution = read_record(checkout.folder / path, Execution)
    assert execution.tiledb == {"sm.mem.total_budget": str(2**30), "soma.init_buffer_bytes": str(2**23)}
    assert (execution.variant, execution.obs_columns, execution.var_columns) == ("lean", (), None)
    rows = list(csv.DictReader((checkout.folder / "results/tables/runs.csv").open()))
    assert [(row["method"], row["threads"], row["variant"], row["status"]) for row in rows] == [
        ("in-memory", "", "default", "ok"),
        ("soma-dask", "1", "default", "ok"),
        ("soma-dask", "1", "lean", "ok"),
        ("soma-dask", "2", "default", "ok"),
    ]
    tables = ("tables/runs.md", "tables/agreement.md", "allocations.md")
    assert all("lean" in (checkout.folder / "results" / table).read_text() for table in tables)

    turned = {"only": only, "obs_columns": [], "tiledb": dict(reversed(lean["tiledb"].items()))}
    checkout.configure({**TINY, "variants": {"lean": turned, "default": {}}})
    assert checkout.planned() == []

    checkout.configure({**TINY, "variants": {"default": {}, "lean": {**lean, "environment": {"MALLOC_ARENA_MAX": 2}}}})
    planned = checkout.planned()
    assert runs_of(planned) + runs_of(planned, "time_run") == [path, path.replace("capture.json", "timing/1.json")]

    # What one method alone can tell runs that method alone.
    checkout.configure({**TINY, "variants": {"default": {}, "lean": lean}, "dask": {"dashboard": True}})
    assert all("soma-dask" in file for file in runs_of(checkout.planned()))

    checkout.configure(TINY)
    assert {job.rule for job in checkout.planned()} == TABLES
    checkout.run("--cores", "2")
    assert "lean" not in (checkout.folder / "results/tables/runs.csv").read_text()
    assert not any("lean" in (checkout.folder / "results" / table).read_text() for table in tables)


def test_report_and_summary_need_no_more_words(checkout) -> None:
    checkout.run("--report", "report.html")
    assert (checkout.folder / "report.html").stat().st_size > 100_000
    assert "results/tables/runs.md" in checkout.run("--summary").stdout


def test_the_report_of_real_runs_opens_sorts_and_tells_each(finished, visit) -> None:
    report = finished.folder / "results/report.html"
    assert report.stat().st_size < 5_000_000
    page = visit(report)
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.locator("#runs tbody tr").count() == 3
    page.locator("#runs th", has_text="peak PSS").click()
    page.locator("#runs tbody a", has_text="100_0x2x1").click()
    page.wait_for_selector("details[open]")
    # Memory, tasks and groups, all drawn.
    assert page.locator("details[open] svg[role=img]").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_added_chunk_size_runs_its_runs_and_tables(checkout) -> None:
    checkout.configure({**TINY, "chunk_sizes": [100, 200]})
    planned = checkout.planned()
    assert runs_of(planned) == [f"results/hvg/tiny/soma-dask/200_0x{t}x1/capture.json" for t in (1, 2)]
    assert Counter(job.rule for job in planned) == Counter({**dict.fromkeys(A_RUN, 2), **dict.fromkeys(TABLES, 1)})


def test_added_parallelism_runs_its_run_and_tables(checkout) -> None:
    checkout.configure({**TINY, "parallelism": [*TINY["parallelism"], "0x1x2"]})
    planned = checkout.planned()
    assert runs_of(planned) == ["results/hvg/tiny/soma-dask/100_0x1x2/capture.json"]
    assert Counter(job.rule for job in planned) == RUN_JOBS + Counter(TABLES)


def test_added_method_runs_its_run_and_tables(finished, tmp_path) -> None:
    config = {**TINY, "methods": ["soma-dask"]}
    checkout = finished.copy(tmp_path / "less")
    checkout.configure(config)
    checkout.run("--cores", "2")
    assert "tiny,in-memory," not in (checkout.folder / "results/tables/runs.csv").read_text()
    for path in (checkout.folder / "results/hvg/tiny/in-memory").glob("whole/*.json"):
        path.unlink()
    checkout.configure(TINY)
    planned = checkout.planned()
    assert runs_of(planned) == ["results/hvg/tiny/in-memory/whole/capture.json"]
    assert {job.rule for job in planned} <= A_RUN | TABLES


def test_added_dataset_runs_its_runs_and_tables(checkout) -> None:
    checkout.configure({**TINY, "datasets": ["tiny", "other"]})
    planned = checkout.planned()
    assert all("other" in path for path in runs_of(planned))
    assert len(runs_of(planned)) == 3
    rules = Counter(job.rule for job in planned)
    assert (rules["ingest_dataset"], rules["make_reference"], rules["write_tables"]) == (1, 1, 1)


def test_removed_parallelism_is_in_no_table(checkout) -> None:
    checkout.configure({**TINY, "parallelism": ["0x1x1"]})
    assert {job.rule for job in checkout.planned()} == TABLES
    checkout.run("--cores", "2")
    for table in ("tables/runs.md", "tables/runs.csv", "tables/agreement.md", "allocations.md", "findings.md"):
        text = (checkout.folder / "results" / table).read_text()
        assert "0x2x1" not in text, table
        assert "0×2×1" not in text, table
    rows = (checkout.folder / "results/tables/runs.csv").read_text().splitlines()
    assert len(rows) == 1 + 2
    assert checkout.planned() == []


def test_another_order_touched_files_and_raised_limits_run_nothing(checkout) -> None:
    config = {key: TINY[key] for key in reversed(TINY)}
    config |= {
        "methods": TINY["methods"][::-1],
        "parallelism": TINY["parallelism"][::-1],
        "limits": {"memory": "20GiB"},
    }
    config["catalogue"] = dict(reversed(TINY["catalogue"].items()))
    checkout.configure(config)
    for path in (checkout.folder / "scripts").rglob("*.py"):
        path.touch()
    assert checkout.planned() == []


def test_hvg_setting_runs_every_run_and_no_dataset(checkout) -> None:
    checkout.configure({**TINY, "hvg": {"n_top_genes": 30}})
    planned = checkout.planned()
    rules = Counter(job.rule for job in planned)
    assert rules["ingest_dataset"] == 0
    assert (rules["capture_run"], rules["time_run"], rules["make_reference"]) == (3, 3, 1)


def test_method_source_runs_that_methods_runs(checkout) -> None:
    edit(checkout, "scripts/somaray/methods/soma_dask.py", 'with phase("open"):', 'with phase("opened"):')
    planned = checkout.planned()
    assert all("soma-dask" in path for path in runs_of(planned))
    assert len(runs_of(planned)) == 2
    assert not runs_of(planned, "make_reference")


RENDERING = [
    ("scripts/somaray/methods/soma_dask.py", 'with phase("open"):', '# why\n    with phase("open"):'),
    ("scripts/measure_run.py", "from pathlib", "# a comment\nfrom pathlib"),
    ("scripts/somaray/report/tables.py", "# Runs", "# All runs"),
    ("scripts/somaray/units.py", "min {rest} s", "minutes {rest} s"),
    ("rules/measure.smk", "# Every run", "# Each run"),
]


def test_rendering_or_comment_runs_tables_at_most(checkout) -> None:
    for file, old, new in RENDERING:
        edit(checkout, file, old, new)
    assert {job.rule for job in checkout.planned()} <= TABLES


def test_more_replicates_add_timings(checkout) -> None:
    checkout.configure({**TINY, "replicates": 3})
    rules = checkout.planned_rules()
    assert rules["time_run"] == 2 * 3
    assert rules["capture_run"] == rules["ingest_dataset"] == 0


def test_profile_setting_runs_captures_alone(checkout) -> None:
    checkout.configure({**TINY, "profile": {"trace_python_allocators": True}})
    rules = checkout.planned_rules()
    assert (rules["capture_run"], rules["time_run"]) == (3, 0)


def test_native_traces_add_captures_of_their_own(checkout) -> None:
    checkout.configure({**TINY, "profile": {"native_traces": True}})
    assert checkout.planned_rules() == Counter(
        capture_native=3, name_nameless=3, write_allocations_document=1, verdict=1
    )


def test_replays_are_made_when_asked_for_and_measure_nothing(checkout) -> None:
    linking = {"write_allocations_document": 1, "write_report": 1, "write_index": 1, "verdict": 1}
    checkout.configure({**TINY, "replay": True})
    assert checkout.planned_rules() == Counter(make_replay=3, **linking)
    one = "results/hvg/tiny/in-memory/whole/replay"
    checkout.run("--cores", "2", f"{one}.mp4", "results/allocations.md", "results/README.md")
    video = (checkout.folder / f"{one}.mp4").read_bytes()
    assert video[4:8] == b"ftyp"
    assert video.index(b"moov") < video.index(b"mdat"), "a browser may begin before it has all"
    assert f"]({one.removeprefix('results/')}.mp4)" in (checkout.folder / "results/allocations.md").read_text()
    assert f"]({one.removeprefix('results/')}.mp4)" in (checkout.folder / "results/README.md").read_text()
    assert checkout.planned_rules() == Counter(make_replay=2, write_report=1, verdict=1)
    # Off again, what links to them is written anew.
    checkout.configure(TINY)
    assert {job.rule for job in checkout.planned()} == {"write_allocations_document", "write_index", "verdict"}


def test_other_results_to_compare_with_run_the_report(checkout) -> None:
    shutil.copytree(checkout.folder / "results", checkout.folder / "results-before")
    checkout.configure({**TINY, "compare_with": "results-before"})
    assert checkout.planned_rules() == Counter(write_report=1, verdict=1)
    checkout.run("--cores", "2", "results/report.html")
    text = (checkout.folder / "results/report.html").read_text()
    assert "3 runs compared: nothing worse than allowed." in text
    assert "The same host, versions and settings." in text


def test_dataset_entry_makes_it_and_its_runs_anew(checkout) -> None:
    catalogue = {**TINY["catalogue"], "tiny": {**TINY["catalogue"]["tiny"], "seed": 9}}
    checkout.configure({**TINY, "catalogue": catalogue})
    rules = checkout.planned_rules()
    assert (rules["ingest_dataset"], rules["capture_run"], rules["time_run"]) == (1, 3, 3)


def test_plan_needs_no_results(tmp_path: Path) -> None:
    checkout = Checkout.make(tmp_path / "somaray", TINY)
    rules = checkout.planned_rules()
    assert rules["capture_run"] == 3
    assert not (checkout.folder / "results").exists()
