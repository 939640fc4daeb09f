"""Two sides held against each other: verdicts, alarms, what moved, and how it is told; the command and its exit status."""

import csv
import io

import msgspec
import pandas as pd
import pytest

from somaray.cli import main
from somaray.records import Place, ProcessAllocations, write_record
from somaray.report.compare.comparison import compare_sides
from somaray.report.compare.document import alarm_lines, comparison_csv, comparison_markdown
from somaray.report.compare.sides import RunResults, Side, read_sides
from somaray.report.compare.thresholds import Thresholds
from somaray.report.rows import run_of
from support.made_records import MIB, PROVENANCE, agreement, allocations, check, execution, process

NOISE = (1.0, 1.01, 0.99, 1.005)


def genes(*selected: str) -> pd.DataFrame:
    names = ["a", "b", "c", "d"]
    return pd.DataFrame(
        {"dispersions": [1.0, 2.0, 3.0, 4.0], "highly_variable": [name in selected for name in names]},
        index=pd.Index(names, name="var_id"),
    )


def results(
    seconds: float = 10.0, mib: int = 500, replicates: int = 4, hvg=None, allocated=None, **changes
) -> RunResults:
    """A run whose replicates vary by about 1 %."""
    timings = tuple(
        execution(
            seconds * NOISE[index],
            index + 1,
            peak_pss_bytes=round(mib * MIB * NOISE[-1 - index]),
            processes=(process("driver", 300 * MIB), process("worker-0", mib * MIB // 2)),
            **changes,
        )
        for index in range(replicates)
    )
    capture = execution(2 * seconds, None, **changes)
    place = {key: changes[key] for key in ("method", "chunk_size", "parallelism", "variant") if key in changes}
    return RunResults(
        run_of(capture),
        capture,
        timings,
        allocated or allocations(**place),
        agreement(**place),
        genes("a", "b") if hvg is None else hvg,
    )


def side(name: str, *runs: RunResults) -> Side:
    return Side(name, {each.run.path: each for each in runs})


def compared(a: RunResults, b: RunResults, thresholds: Thresholds | None = None):
    return compare_sides(side("before", a), side("after", b), thresholds)


def verdicts(comparison) -> dict[str, str]:
    return {change.figure.name: change.verdict for change in comparison.figures}


def test_a_set_of_results_against_itself_is_the_same_in_all() -> None:
    runs = [results(), results(20.0, chunk_size=200)]
    found = compare_sides(side("a", *runs), side("b", *runs))
    assert found.n_alarms == 0
    assert set(verdicts(found).values()) == {"same"}
    assert [found.phases, found.groups, found.places, found.statuses, found.differences, found.warnings] == [()] * 6
    assert [change.same for change in found.genes] == [True, True]
    text = comparison_markdown(found)
    assert "**2 runs compared: nothing worse than allowed.**" in text
    assert "The same host, versions and settings." in text


def test_slower_and_larger_runs_are_alarms_and_the_other_way_round_is_none() -> None:
    found = compared(results(), results(11.5, 650))
    assert verdicts(found)["wall_seconds"] == "more"
    assert verdicts(found)["peak_pss_bytes"] == "more"
    assert alarm_lines(found)[0] == "heart/soma-dask/100_2x1x1: Time, all phases: 10 s became 11.5 s (× 1.15)"
    assert [change.figure.name for change in found.figure_alarms] == [
        "wall_seconds",
        "peak_pss_bytes",
        "largest_worker_rss_bytes",
    ]
    back = compared(results(11.5, 650), results())
    assert back.n_alarms == 0
    assert verdicts(back)["wall_seconds"] == "less"
    assert "- Better: heart/soma-dask/100\\_2x1x1 (Time, all phases)" in comparison_markdown(back)


@pytest.mark.parametrize(
    ("seconds", "thresholds"),
    [(10.8, Thresholds()), (11.5, Thresholds(slower_share=0.2)), (11.5, Thresholds(least_seconds=2.0))],
    ids=["below the share", "share raised", "below the least difference"],
)
def test_an_alarm_needs_both_a_share_and_a_difference(seconds, thresholds) -> None:
    found = compared(results(), results(seconds), thresholds)
    assert found.n_alarms == 0
    assert verdicts(found)["wall_seconds"] == "same"


def test_one_replicate_has_a_ratio_and_no_verdict() -> None:
    found = compared(results(replicates=1), results(20.0, replicates=1))
    assert found.n_alarms == 0
    assert verdicts(found)["wall_seconds"] == "too few replicates to tell"
    assert found.untold == ("heart/soma-dask/100_2x1x1",)
    text = comparison_markdown(found)
    assert "| too few replicates to tell | 1, 1 | 10 s | 20 s | 2.00 | – | +10 s |" in text


def test_replicates_that_scatter_leave_it_open() -> None:
    a = results()
    scattered = tuple(
        msgspec.structs.replace(execution(seconds, index), peak_pss_bytes=500 * MIB)
        for index, seconds in enumerate((8.0, 16.0, 11.0), 1)
    )
    found = compared(a, RunResults(a.run, a.capture, scattered, a.allocations, a.agreement, a.hvg))
    assert verdicts(found)["wall_seconds"] == "not clear"


def heap(peak_mib: int, *places: Place, status="complete", **changes) -> ProcessAllocations:
    fields = {
        "name": "driver",
        "role": "driver",
        "pid": 1,
        "capture": "driver.bin",
        "capture_status": status,
        "total_bytes": 1000 * MIB,
        "n_allocations": 9,
        "heap_peak_bytes": peak_mib * MIB,
        "heap_peak_seconds": 1.0,
        "rss_at_heap_peak_bytes": 1,
        "places": places,
    }
    return ProcessAllocations(**{**fields, **changes})


def place(file: str | None, function: str, line: int, total: int, held: int, package: str | None = "scanpy") -> Place:
    return Place(
        file=file, function=function, line=line, package=package, total_bytes=total * MIB, held_bytes=held * MIB
    )


def test_a_heap_peak_is_told_and_an_alarm_only_if_asked_for() -> None:
    a, b = (results(allocated=allocations(processes=(heap(mib),))) for mib in (500, 700))
    assert verdicts(compared(a, b))["driver_heap_peak_bytes"] == "more"
    assert compared(a, b).n_alarms == 0
    assert compared(a, b, Thresholds(heap_share=0.3)).n_alarms == 1
    assert compared(a, b, Thresholds(heap_share=0.5)).n_alarms == 0
    # A capture cut short has not seen its peak.
    cut = results(allocated=allocations(processes=(heap(700, status="partial"),)))
    assert "driver_heap_peak_bytes" not in verdicts(compared(a, cut))


def test_places_are_matched_by_file_and_function_whatever_the_line() -> None:
    before = (
        place("scanpy/pp.py", "mean", 10, 100, 100),
        place("scanpy/pp.py", "mean", 14, 100, 50),
        place("scanpy/pp.py", "gone", 20, 90, 0),
        place("scanpy/pp.py", "small", 30, 5, 5),
        place("/home/one/script.py", "own", 3, 200, 0, None),
    )
    after = (
        place("scanpy/pp.py", "mean", 17, 200, 290),
        place("scanpy/pp.py", "new", 70, 40, 40),
        place("/srv/two/script.py", "own", 4, 200, 0, None),
    )
    a, b = (results(allocated=allocations(processes=(heap(500, *own),))) for own in (before, after))
    moves = [(move.what, move.measure, move.how, move.difference // MIB) for move in compared(a, b).places]
    assert moves == [
        ("scanpy/pp.py mean", "held", "grew", 140),
        ("scanpy/pp.py gone", "total", "vanished", -90),
        ("scanpy/pp.py new", "held", "appeared", 40),
        ("scanpy/pp.py new", "total", "appeared", 40),
    ]
    text = comparison_markdown(compared(a, b), top=1)
    assert "| driver | scanpy/pp.py mean | grew | held at the heap's peak | 150 MiB | 290 MiB | +140 MiB |" in text
    assert "3 smaller moves are not listed." in text


def test_a_place_below_one_percent_of_its_process_is_none_of_the_top() -> None:
    a, b = (
        results(
            allocated=allocations(
                processes=(heap(500, place("a.py", "f", 1, 9000, 9000), place("b.py", "g", 2, own, own)),)
            )
        )
        for own in (0, 80)
    )
    assert compared(a, b).places == ()


def test_phases_that_moved_are_listed() -> None:
    found = compared(results(10.0), results(14.0))
    assert [(move.what, move.how, round(move.difference, 1)) for move in found.phases] == [("hvg", "grew", 4.0)]
    assert "## Phases\n\n| run | phase | change | A | B | B − A |" in comparison_markdown(found)


def test_other_genes_are_an_alarm_unless_expected_or_allowed() -> None:
    a, b = results(), results(hvg=genes("a", "c"))
    found = compared(a, b)
    assert (found.n_alarms, found.genes[0].in_common) == (1, 1)
    assert alarm_lines(found) == ["heart/soma-dask/100_2x1x1: other genes: 1 genes missing, 1 too many"]
    assert compared(a, b, Thresholds(allow=frozenset({"genes"}))).n_alarms == 0
    asked = msgspec.structs.replace(a.capture, hvg=msgspec.structs.replace(a.capture.hvg, n_top_genes=3))
    found = compared(a, RunResults(a.run, asked, a.timings, a.allocations, a.agreement, genes("a", "b", "c")))
    assert found.n_alarms == 0
    assert "HVG settings differ: other genes are expected" in found.warnings


def test_a_run_that_no_longer_ends_well_is_an_alarm_and_one_that_now_does_is_none() -> None:
    lost = RunResults(run_of(execution()), execution(None, None, status="out of memory", reason="12.1 of 12 GiB"), ())
    found = compared(results(), lost)
    assert alarm_lines(found) == ["heart/soma-dask/100_2x1x1: ok became out of memory (12.1 of 12 GiB)"]
    assert compared(results(), lost, Thresholds(allow=frozenset({"status"}))).n_alarms == 0
    assert (compared(lost, results()).n_alarms, len(compared(lost, results()).statuses)) == (0, 1)
    # Another reason for the same end is no change.
    again = RunResults(lost.run, msgspec.structs.replace(lost.capture, reason="12.3 of 12 GiB"), ())
    assert compared(lost, again).statuses == ()


def test_disagreement_with_the_reference_is_a_status() -> None:
    a = results()
    wrong = RunResults(a.run, a.capture, a.timings, a.allocations, agreement(check("capture", False)), a.hvg)
    assert [change.worse for change in compared(a, wrong).statuses] == [True]


def test_hosts_versions_and_settings_that_differ_are_told() -> None:
    elsewhere = msgspec.structs.replace(
        PROVENANCE,
        host=msgspec.structs.replace(PROVENANCE.host, name="other", cpu_model="Another CPU"),
        versions={"scanpy": "1.13", "tiledbsoma": "2.3.0"},
    )
    found = compared(results(), results(provenance=elsewhere, tiledb={"soma.init_buffer_bytes": "16777216"}))
    assert [(difference.what, difference.a, difference.b) for difference in found.differences] == [
        ("host name", "bench", "other"),
        ("host cpu_model", "Some CPU", "Another CPU"),
        ("version of scanpy", "1.12.4", "1.13"),
        ("TileDB setting soma.init_buffer_bytes", "", "16777216"),
    ]
    text = comparison_markdown(found)
    assert "- **Careful: measured on different machines: ratios compare these too.**" in text
    assert "| version of scanpy | 1.12.4 | 1.13 | all |" in text


def test_csv_has_a_line_a_run_and_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(comparison_csv(compared(results(), results(11.5))))))
    assert [row["figure"] for row in rows][:2] == ["wall_seconds", "peak_pss_bytes"]
    first = rows[0]
    assert (first["run"], first["replicates_a"], first["verdict"], first["alarm"]) == (
        "heart/soma-dask/100_2x1x1", "4", "more", "yes",
    )  # fmt: skip
    assert float(first["ratio"]) == pytest.approx(1.15)
    assert float(first["ratio_low"]) < 1.15 < float(first["ratio_high"])


def test_hostile_names_stay_text_and_a_section_has_deeper_headings() -> None:
    found = compare_sides(side("a|b", results()), side("<b>", results(12.0)))
    text = comparison_markdown(found, heading="##")
    assert text.startswith("## Comparison\n\n**A**: a\\|b  \n**B**: \\<b\\>\n")
    assert "\n### Time, all phases\n" in text


def written(folder, *runs: RunResults):
    """Write results as the workflow does."""
    for each in runs:
        run_dir = folder / "hvg" / each.run.path
        write_record(run_dir / "capture.json", each.capture)
        write_record(run_dir / "allocations.json", each.allocations)
        write_record(run_dir / "agreement.json", each.agreement)
        for timing in each.timings:
            write_record(run_dir / f"timing/{timing.replicate}.json", timing)
        each.hvg.reset_index().to_parquet(run_dir / "hvg.parquet")
    return folder


def test_command_guards_and_writes_its_files(tmp_path, capsys) -> None:
    a = written(tmp_path / "a", results(), results(5.0, chunk_size=200))
    b = written(tmp_path / "b", results(11.5), results(5.0, chunk_size=300))
    assert main(["compare", str(a), str(a)]) == 0
    assert "**2 runs compared: nothing worse than allowed.**" in capsys.readouterr().out
    assert main(["compare", str(a), str(b), "-o", str(tmp_path / "c.md"), "--csv", str(tmp_path / "c.csv")]) == 1
    out, err = capsys.readouterr()
    assert (out, err.startswith("somaray: worse than allowed: heart/soma-dask/100_2x1x1: Time")) == ("", True)
    text = (tmp_path / "c.md").read_text()
    assert "- Only in A: heart/soma-dask/200\\_2x1x1\n- Only in B: heart/soma-dask/300\\_2x1x1\n" in text
    assert (tmp_path / "c.csv").read_text().startswith("run,figure,")
    assert main(["compare", str(a), str(b), "--max-slower", "20%"]) == 0


def test_two_runs_match_whatever_they_are_called(tmp_path) -> None:
    folder = written(tmp_path, results(), results(11.5, variant="small"))
    paths = [folder / "hvg/heart/soma-dask" / name for name in ("100_2x1x1", "100_2x1x1_small")]
    found = compare_sides(*read_sides(*paths))
    assert found.matched == ("heart/soma-dask/100_2x1x1 and heart/soma-dask/100_2x1x1_small",)
    assert found.n_alarms == 1
    assert [difference.what for difference in found.differences] == ["variant"]
    assert main(["compare", *map(str, paths)]) == 1


def test_a_run_that_was_dropped_from_the_tables_is_left_out(tmp_path) -> None:
    folder = written(tmp_path, results(), results(chunk_size=200))
    (folder / "tables").mkdir()
    (folder / "tables/runs.csv").write_text(
        "dataset,method,chunk_size,processes,threads,tile_threads,variant\nheart,soma-dask,100,2,1,1,default\n"
    )
    both, _ = read_sides(folder, folder)
    assert list(both.runs) == ["heart/soma-dask/100_2x1x1"]
    assert both.left_out == ("heart/soma-dask/200_2x1x1",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{empty}", "{a}"], "expected a results directory (hvg/DATASET/METHOD/SETTING/capture.json below it)"),
        (["{a}", "{run}"], "expected two of a kind"),
        (["{a}", "{other}"], "have no run in common"),
        (["{a}", "{a}", "--max-slower", "much"], "--max-slower much: expected per cent from 0 up, e.g. 10%"),
        (["{a}", "{a}", "--least-memory", "x"], "'x' is not a size"),
        (["{a}", "{a}", "-o", "{a}"], "Is a directory"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, message, tmp_path, capsys) -> None:
    a = written(tmp_path / "a", results())
    places = {
        "a": a,
        "run": a / "hvg" / results().run.path,
        "other": written(tmp_path / "other", results(chunk_size=900)),
        "empty": tmp_path / "empty",
    }
    assert main(["compare", *(text.format(**places) for text in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
