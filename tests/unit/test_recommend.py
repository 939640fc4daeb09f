"""What is recommended from chosen figures: what fits, by how much, what was never run; the document and the command."""

from pathlib import Path

import pytest

from somaray.cli import main
from somaray.matrix import Run
from somaray.plan.constants import predict, shipped_constants
from somaray.plan.finished import work_of_execution
from somaray.plan.size import size_of
from somaray.records import write_record
from somaray.report.gathered import Gathered
from somaray.report.gathered_results import gather_results
from somaray.report.recommend import CHUNK_SIZES, most_like, never_run, recommend
from somaray.report.recommend_document import NOTHING, recommend_markdown
from somaray.units import Parallelism
from support.made_records import MIB, agreement, allocations, execution, manifest, process

GIB = 1024 * MIB
FAST, LEAN = {"chunk_size": 200}, {"chunk_size": 100}


def gathered(*, lean_seconds: float = 12.0, fast_seconds: float = 10.0, **changes) -> Gathered:
    """Two settings: 200 rows a chunk is faster, 12 GiB at most; 100 take 3 GiB."""
    fast = {"peak_pss_bytes": 11 * GIB, **FAST, **changes}
    return Gathered(
        (manifest(),),
        (execution(20.0, None, **FAST), execution(20.0, None, **LEAN)),
        (
            execution(fast_seconds, 1, **fast),
            execution(fast_seconds, 2, **{**fast, "peak_pss_bytes": 12 * GIB}),
            execution(lean_seconds, 1, peak_pss_bytes=3 * GIB, **LEAN),
        ),
        (allocations(**FAST), allocations(**LEAN)),
        (agreement(**FAST), agreement(**LEAN)),
    )


def test_the_fastest_that_fits_by_its_largest_replicate_with_its_margin() -> None:
    found = recommend(gathered(), (8 * GIB, 12 * GIB, 16 * GIB, 2 * GIB))
    assert [each.budget_bytes for each in found] == [2 * GIB, 8 * GIB, 12 * GIB, 16 * GIB]
    assert [each.measured and each.measured.run.chunk_size for each in found] == [None, 100, 200, 200]
    assert [each.margin_bytes for each in found] == [None, 5 * GIB, 0, 4 * GIB]


def as_planned() -> Gathered:
    """150 million non-zeros in one chunk and worker, that took on four cores just what the plan says."""
    own = manifest(n_obs=100_000, n_vars=30_000, nnz=150_000_000)
    place = {"chunk_size": 100_000, "parallelism": "1x1x1"}
    done = execution(20.0, 1, n_obs=100_000, **place)
    prediction = predict(work_of_execution(done, size_of(own)), shipped_constants())
    workers = (process("driver", 300 * MIB), process("worker-0", prediction.largest_worker_bytes))
    done = execution(
        prediction.seconds, 1, n_obs=100_000, peak_pss_bytes=prediction.peak_pss_bytes, processes=workers, **place
    )
    return Gathered((own,), (execution(30.0, None, **place),), (done,), (allocations(**place),), (agreement(**place),))


def test_a_setting_never_run_is_shown_only_where_it_is_said_to_be_better() -> None:
    own = as_planned()
    measured = own.rows[0]
    peak_bytes = int(measured.peak_pss_bytes.maximum)
    small, large = recommend(own, (peak_bytes - 1, 64 * GIB))
    # The run does not fit, smaller chunks do; where it fits, four workers are faster.
    assert (small.measured, large.measured) == (None, measured)
    for each in (small, large):
        run, prediction = each.predicted
        assert run != measured.run
        assert each.predicted_margin_bytes == each.budget_bytes - prediction.peak_pss_bytes >= 0
    assert small.predicted[0].chunk_size < 100_000
    assert large.predicted[0].parallelism.dask_threads == 4
    assert large.predicted[1].seconds < measured.wall_seconds.median
    (quick,) = recommend(gathered(lean_seconds=0.2, fast_seconds=0.1), (13 * GIB,))
    assert quick.predicted is None


def test_nothing_fits_into_next_to_nothing() -> None:
    (tiny,) = recommend(gathered(), (MIB,))
    assert (tiny.measured, tiny.predicted, tiny.margin_bytes, tiny.predicted_margin_bytes) == (None, None, None, None)


def test_a_setting_that_failed_is_not_recommended_anew() -> None:
    own = gathered()
    rows = own.rows
    tried = never_run(rows, size_of(manifest()), own.timings, shipped_constants())
    assert not {run for run, _ in tried} & {row.run for row in rows}
    assert {run.method for run, _ in tried} == {"soma-dask"}
    # Four cores, shared out in powers of two; no more threads than cores.
    layouts = {run.parallelism for run, _ in tried}
    assert Parallelism(4, 1, 1) in layouts
    assert all(layout.dask_threads <= 4 for layout in layouts)
    assert {run.chunk_size for run, _ in tried} == {1000}


def test_settings_are_those_of_the_run_most_like_it() -> None:
    """The run's own, else its method's and variant's, else those of another method; never of another dataset."""
    own, small, other, elsewhere = (
        execution(1.0, 1, tiledb={"who": "own"}),
        execution(1.0, 1, tiledb={"who": "small"}, variant="small"),
        execution(1.0, 1, tiledb={"who": "other"}, method="one-pass"),
        execution(1.0, 1, tiledb={"who": "elsewhere"}, dataset="lung"),
    )
    known = (elsewhere, other, small, own)
    layout = Parallelism(2, 1, 1)
    for run, who in (
        (Run("heart", "soma-dask", 100, layout), "own"),
        (Run("heart", "soma-dask", 100, layout, "small"), "small"),
        (Run("heart", "soma-dask", 999, layout), "own"),
        (Run("heart", "one-pass", 999, layout), "other"),
        (Run("lung", "soma-dask", 100, layout), "elsewhere"),
    ):
        assert most_like(run, known).tiledb == {"who": who}
    assert most_like(Run("heart", "in-memory"), (elsewhere, small, other)).tiledb == {"who": "other"}


def test_usual_chunk_sizes_below_the_cells_are_looked_at() -> None:
    own = gathered()
    large = size_of(manifest(n_obs=60_000))
    tried = never_run(own.rows, large, own.timings, shipped_constants())
    assert {run.chunk_size for run, _ in tried} == {size for size in CHUNK_SIZES if size < 60_000}


DOCUMENT = """\
## heart

| memory | method | run | time (s) | peak PSS | margin | known from |
| :-- | :-- | :-- | --: | --: | --: | :-- |
| 1 MiB | nothing that ran or is planned fits |  |  |  |  |  |
| 8 GiB | soma-dask | [100\\_2x1x1](../hvg/heart/soma-dask/100_2x1x1/) | 0.2 | 3 GiB | 5 GiB | measured |
| 13 GiB to 14 GiB | soma-dask | [200\\_2x1x1](../hvg/heart/soma-dask/200_2x1x1/) | 0.1 | 12 GiB | 1 GiB | measured |

### `soma-dask` 100\\_2x1x1

```python
import os

# Before any library is loaded; Dask's workers inherit it.
"""


def test_the_document_as_people_see_it() -> None:
    own = gathered(lean_seconds=0.2, fast_seconds=0.1)
    text = recommend_markdown(recommend(own, (MIB, 8 * GIB, 13 * GIB, 14 * GIB)), own, runs_href="../hvg")
    assert DOCUMENT in text
    assert text.count("```python") == 2
    assert "cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, memory_limit=None)" in text
    assert "- Host bench: Some CPU" in text
    assert NOTHING in text


def test_predicted_rows_say_so() -> None:
    own = as_planned()
    lines = recommend_markdown(recommend(own, (64 * GIB,)), own).splitlines()
    measured, predicted = [line for line in lines if line.startswith("| 64 GiB |")]
    assert measured.startswith("| 64 GiB | soma-dask | 100k\\_1x1x1 | ")
    assert measured.endswith(" | measured |")
    assert predicted.endswith(" | **predicted**, never run |")
    assert sum(line.startswith("### ") for line in lines) == 2


def written(folder: Path) -> Path:
    own = gathered(lean_seconds=0.2, fast_seconds=0.1)
    write_record(folder / "datasets/heart/manifest.json", own.manifests[0])
    for capture in own.captures:
        run_dir = folder / "hvg" / Run("heart", "soma-dask", capture.chunk_size, Parallelism(2, 1, 1)).path
        write_record(run_dir / "capture.json", capture)
        for timing in own.timings:
            if timing.chunk_size == capture.chunk_size:
                write_record(run_dir / f"timing/{timing.replicate}.json", timing)
    return folder


def test_the_command_reads_a_results_directory(tmp_path, capsys) -> None:
    folder = written(tmp_path / "results")
    assert main(["recommend", "--memory", "8GiB", "--memory", "13 GiB", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "| 8 GiB | soma-dask | 100\\_2x1x1 | 0.2 | 3 GiB | 5 GiB | measured |" in printed
    assert "| 13 GiB | soma-dask | 200\\_2x1x1 | 0.1 | 12 GiB | 1 GiB | measured |" in printed
    # Results whose agreement is not checked yet are as good.
    assert gather_results(folder).rows[0].agreement == "not checked"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--memory", "much"], "--memory 'much' is not a size"),
        (["--memory", "0"], "expected more than nothing"),
        ([], "expected a results directory"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capsys, arguments, expected) -> None:
    assert main(["recommend", *arguments, str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
