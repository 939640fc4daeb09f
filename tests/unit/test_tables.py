"""Every figure of the tables from records with chosen figures."""

import csv
import io

import pytest

from somaray.plan.constants import Prediction
from somaray.records import Retry
from somaray.report.rows import build_rows
from somaray.report.tables import agreement_markdown, runs_csv, runs_markdown
from somaray.report.verdict import failed, summary
from support.made_records import MIB, agreement, allocations, check, execution, manifest, process

CONTRACT = (
    "dataset, method, chunk_size, processes, threads, tile_threads, status, replicates, n_obs, wall_seconds, hvg_seconds, "
    "cells_per_second, peak_pss_bytes, largest_worker_rss_bytes, driver_heap_peak_bytes, genes_selected, genes_in_common"
).split(", ")

TIMINGS = [
    execution(10.0, 1),
    execution(14.0, 2, peak_pss_bytes=700 * MIB),
    execution(11.0, 3, processes=(process("driver", 310 * MIB), process("worker-0", 260 * MIB))),
]


def rows_of(capture=None, timings=TIMINGS, agreed=None, manifests=None):
    capture = capture or execution(20.0, None)
    return build_rows(manifests or [manifest()], [capture], timings, [allocations()], [agreed or agreement()])


def as_csv(rows) -> dict[str, str]:
    return next(csv.DictReader(io.StringIO(runs_csv(rows))))


def test_columns_that_others_rely_on_are_there() -> None:
    assert set(CONTRACT) <= set(as_csv(rows_of()))


def test_figures_are_medians_of_timings_and_never_the_captures() -> None:
    row = as_csv(rows_of())
    assert (row["wall_seconds"], row["wall_seconds_min"], row["wall_seconds_max"]) == ("11", "10", "14")
    assert (row["hvg_seconds"], row["hvg_seconds_min"], row["hvg_seconds_max"]) == ("9", "8", "12")
    assert float(row["cells_per_second"]) == pytest.approx(1000 / 11, rel=1e-5)
    assert row["peak_pss_bytes"] == str(500 * MIB)
    assert row["peak_pss_bytes_max"] == str(700 * MIB)
    # The largest worker of each replicate: 220, 220 and 260 MiB.
    assert row["largest_worker_rss_bytes"] == str(220 * MIB)
    assert row["driver_heap_peak_bytes"] == str(24 * 2**30)
    assert (row["processes"], row["threads"], row["tile_threads"], row["chunk_size"]) == ("2", "1", "1", "100")
    assert (row["status"], row["replicates"], row["genes_in_common"]) == ("ok", "3", "20")


def test_failed_timing_is_the_status_and_the_others_count() -> None:
    lost = execution(None, 2, status="out of memory", reason="12.1 of 12 GiB")
    row = as_csv(rows_of(timings=[TIMINGS[0], lost, TIMINGS[2]]))
    assert row["status"] == "out of memory (12.1 of 12 GiB)"
    assert (row["replicates"], row["wall_seconds"]) == ("2", "10.5")


def test_what_a_larger_job_measured_again_is_told_beside_the_status() -> None:
    retried = Retry(reason="Slurm job 7 got | it", memory_bytes=MIB, seen_bytes=None, retried_memory_bytes=3 * 2**30)
    rows = rows_of(timings=[TIMINGS[0], execution(11.0, 2, retried=retried)])
    told = "timing-2 measured again in a job of 3 GiB: Slurm job 7 got"
    assert as_csv(rows)["retried"] == f"{told} | it"
    assert as_csv(rows)["status"] == "ok"
    assert f"| ok; {told} \\| it |" in runs_markdown(rows, TIMINGS)
    assert as_csv(rows_of())["retried"] == ""


def test_run_without_any_good_timing_has_empty_figures() -> None:
    lost = [execution(None, r, status="failed", reason="ValueError: x") for r in (1, 2)]
    rows = rows_of(capture=execution(None, None, status="failed", reason="ValueError: x"), timings=lost)
    row = as_csv(rows)
    assert (row["wall_seconds"], row["cells_per_second"], row["replicates"]) == ("", "", "0")
    assert "**failed (ValueError: x)**" in runs_markdown(rows, TIMINGS)


def test_disagreement_is_a_status_and_its_worst_check_is_shown() -> None:
    row = as_csv(rows_of(agreed=agreement(check(), check("timing-2", False))))
    assert row["status"] == "disagrees with the reference (2 genes missing, 1 too many)"
    assert row["genes_in_common"] == "18"


def test_method_without_chunks_has_empty_settings() -> None:
    whole = {"method": "in-memory", "chunk_size": None, "parallelism": None}
    rows = build_rows(
        [manifest()],
        [execution(20.0, None, **whole)],
        [execution(10.0, 1, **whole)],
        [allocations(**whole)],
        [agreement(**whole)],
    )
    row = as_csv(rows)
    assert (row["chunk_size"], row["processes"], row["threads"], row["tile_threads"]) == ("", "", "", "")


def planned(monkeypatch, prediction: Prediction | None) -> None:
    """Let the plan say this of every run."""
    monkeypatch.setattr("somaray.report.rows.predict", lambda work, constants: prediction)


def test_what_was_predicted_stands_beside_what_was_measured(monkeypatch) -> None:
    planned(monkeypatch, Prediction(peak_pss_bytes=600 * MIB, largest_worker_bytes=230 * MIB, seconds=12.34567891))
    row = as_csv(rows_of())
    assert row["predicted_peak_pss_bytes"] == str(600 * MIB)
    assert row["predicted_largest_worker_bytes"] == str(230 * MIB)
    assert row["predicted_seconds"] == "12.3457"
    assert "| 500 MiB | 600 MiB | 220 MiB |" in runs_markdown(rows_of(), TIMINGS)


def test_nothing_is_predicted_of_data_whose_non_zeros_nobody_knows() -> None:
    rows = rows_of(manifests=[manifest(nnz=None)])
    assert {as_csv(rows)[f"predicted_{name}"] for name in ("peak_pss_bytes", "largest_worker_bytes", "seconds")} == {""}
    assert "| 500 MiB | – | 220 MiB |" in runs_markdown(rows, TIMINGS)


def test_the_prediction_knows_nothing_of_the_run() -> None:
    """It is what the shipped constants say of its settings, whatever was measured."""
    first, other = (
        rows_of(timings=[execution(seconds, 1, peak_pss_bytes=size)]) for seconds, size in ((1, 1), (99, 2**40))
    )
    assert first[0].prediction == other[0].prediction is not None


def test_runs_table_as_people_see_it(monkeypatch) -> None:
    planned(monkeypatch, None)
    text = runs_markdown(rows_of(), TIMINGS)
    assert "## heart\n\n1,000 cells, 50 genes, 12,345 non-zeros, layout census.\n" in text
    assert (
        "| soma-dask | 100 | 2×1×1 | 11 (10–14) | 9 (8–12) | 91 | 500 MiB | – | 220 MiB | 24 GiB | 3 | ok | yes (1 of 1) |"
        in text
    )
    assert "- Host bench: Some CPU, 4 of 8 cores usable, 16 GiB of memory, Linux 6" in text
    assert "scanpy 1.12.4, tiledbsoma 2.3.0" in text
    header, rule, *_ = [line for line in text.splitlines() if line.startswith("|")]
    assert header.count("|") == rule.count("|")


def test_hostile_names_stay_text() -> None:
    name = "a|b_<script>*x*\n[y](z)"
    renamed = {"dataset": name}
    rows = build_rows(
        [manifest(name)],
        [execution(20.0, None, **renamed)],
        [execution(None, 1, status="failed", reason="| <b>", **renamed)],
        [allocations(**renamed)],
        [agreement(**renamed)],
    )
    text = runs_markdown(rows, TIMINGS)
    assert "## a\\|b\\_\\<script\\>\\*x\\* \\[y\\](z)\n" in text
    assert "failed (\\| \\<b\\>)" in text
    assert next(csv.DictReader(io.StringIO(runs_csv(rows))))["dataset"] == name


def test_agreement_table_has_a_line_a_result() -> None:
    text = agreement_markdown([agreement(check(), check("timing-1", None, note="too large"))], TIMINGS)
    assert "| heart | soma-dask | 100\\_2x1x1 | capture | 20 | 20 | 20 | 1.0e-09 | yes |" in text
    assert "| timing-1 | 20 | 20 | 18 | 1.0e-09 | not checked: too large |" in text


def test_a_reference_other_than_scanpy_in_memory_is_named() -> None:
    against = agreement(check(), check("timing-1", None, note="too large"), reference="one-pass")
    lines = agreement_markdown([against], TIMINGS).splitlines()
    assert [line.split("|")[-2].strip() for line in lines if "| heart |" in line] == ["one-pass", "–"]
    assert as_csv(rows_of(agreed=against))["reference"] == "one-pass"
    assert "| yes (1 of 1, against one-pass) |" in runs_markdown(rows_of(agreed=against), TIMINGS)


def test_verdict_names_every_failure() -> None:
    lost = execution(None, 2, status="out of time", reason="stopped after 30 min 0 s")
    lines = failed([TIMINGS[0], lost], [agreement(check(), check("timing-3", False))])
    assert lines == [
        "heart/soma-dask/100_2x1x1 timing-2: out of time (stopped after 30 min 0 s)",
        "heart/soma-dask/100_2x1x1 timing-3: disagrees with the reference (2 genes missing, 1 too many)",
    ]
    assert failed([execution(None, 1, status="unsupported", reason="no such flavour")], []) == []
    text = summary(TIMINGS, [agreement(check(), check("timing-1", None, note="too large"))])
    assert text.startswith("1 runs, 3 executions, none failed; 1 of 2 results checked")


def test_the_notes_own_rows_stand_beside_ours_marked_as_imported(shared_records) -> None:
    from somaray.allocations.foreign import read_foreign

    foreign = [read_foreign(shared_records / "hvg/heart" / name) for name in ("100k_4x4x4.json", "h5ad_50k_4x4.json")]
    rows = build_rows([manifest()], [execution(20.0, None)], TIMINGS, [allocations()], [agreement()], foreign)
    table = list(csv.DictReader(io.StringIO(runs_csv(rows))))
    assert [row["origin"] for row in table] == ["measured", "imported", "imported"]
    assert (table[1]["wall_seconds"], table[1]["hvg_seconds"]) == ("95.5772", "57.5511")
    assert table[1]["driver_heap_peak_bytes"] == "40503595229"
    assert (table[2]["method"], table[2]["tile_threads"]) == ("h5ad-dask", "")
    text = runs_markdown(rows, TIMINGS)
    assert "## heart (imported)" in text
    assert "| soma-dask | 100k | 4×4×4 | 95.6 | 57.6 | 16,300 |" in text


def of_variant(**settings):
    """Records of one run twice: as the default, and as the variant `small` with some settings of its own."""
    small = {"variant": "small", **settings}
    timings = [execution(10.0, 1), execution(9.0, 1, **small)]
    rows = build_rows(
        [manifest()],
        [execution(19.0, None, **small), execution(20.0, None)],
        timings,
        [allocations(), allocations(variant="small")],
        [agreement(), agreement(variant="small")],
    )
    return rows, timings


def test_a_variant_is_a_row_of_its_own_after_the_default_s() -> None:
    rows, timings = of_variant()
    table = list(csv.DictReader(io.StringIO(runs_csv(rows))))
    assert [(row["variant"], row["wall_seconds"]) for row in table] == [("default", "10"), ("small", "9")]
    assert list(table[0])[:7] == "dataset method chunk_size processes threads tile_threads variant".split()
    text = runs_markdown(rows, timings)
    assert "| method | chunk | P×T×C | variant | total (s) |" in text
    assert "| :-- | :-- | :-- | :-- | --: |" in text
    assert "| soma-dask | 100 | 2×1×1 | small | 9 | 7 |" in text


def test_without_variants_no_table_speaks_of_them() -> None:
    assert "variant" not in runs_markdown(rows_of(), TIMINGS).lower()


def test_agreement_names_the_variant() -> None:
    whole = {"method": "in-memory", "chunk_size": None, "parallelism": None}
    text = agreement_markdown(
        [agreement(variant="small"), agreement(variant="small", **whole), agreement(**whole)], TIMINGS
    )
    assert "| soma-dask | 100\\_2x1x1\\_small | capture |" in text
    assert "| in-memory | whole\\_small | capture |" in text
    assert "| in-memory | – | capture |" in text


def test_closing_lines_say_what_a_variant_had_otherwise() -> None:
    rows, timings = of_variant(
        tiledb={"soma.init_buffer_bytes": "16777216"},
        environment={"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"},
        obs_columns=("cell_type",),
        var_columns=(),
    )
    lines = runs_markdown(rows, timings).splitlines()
    assert "- TileDB: its defaults" in lines
    assert (
        "- Variant small: TileDB: soma.init\\_buffer\\_bytes = 16777216; Environment: ARROW\\_DEFAULT\\_MEMORY\\_POOL = system; "
        "obs read: cell\\_type beside those needed; var read: no column beside those needed"
    ) in lines
    rows, timings = of_variant()
    assert "- Variant small: as default" in runs_markdown(rows, timings).splitlines()
