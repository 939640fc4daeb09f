"""What is chosen among rows with chosen figures."""

from hypothesis import given
from hypothesis import strategies as st

from somaray.matrix import Run
from somaray.report.choices import choices, fastest_within, front, memory_of, seconds_of
from somaray.report.rows import RunRow, Spread
from somaray.units import Parallelism

GIB = 2**30


def row(seconds: float, gib: float, chunk: int = 100, status: str = "ok", dataset: str = "heart", **changes) -> RunRow:
    run = Run(dataset, "soma-dask", chunk, Parallelism(1, 1, 1))
    spreads = {
        "wall_seconds": Spread(seconds, seconds, seconds),
        "peak_pss_bytes": Spread(gib * GIB, gib * GIB, gib * GIB),
    }
    return RunRow(run=run, origin="measured", status=status, replicates=1, n_obs=1000, **{**spreads, **changes})


def test_fastest_leanest_and_by_budget() -> None:
    fast, middle, lean = row(10, 40, 1), row(20, 12, 2), row(60, 3, 3)
    failed = row(1, 1, 4, status="out of memory (1 of 1 GiB)")
    (choice,) = choices([fast, middle, lean, failed])
    assert (choice.fastest, choice.leanest, choice.n_finished) == (fast, lean, 3)
    assert choice.by_budget == {8 * GIB: lean, 16 * GIB: middle, 32 * GIB: middle, 64 * GIB: fast}


def test_the_largest_replicate_must_fit_not_the_median() -> None:
    swelling = row(10, 4, peak_pss_bytes=Spread(4 * GIB, 3 * GIB, 9 * GIB))
    assert fastest_within([swelling], 8 * GIB) is None
    assert fastest_within([swelling], 9 * GIB) is swelling


def test_disagreeing_and_imported_runs_are_never_chosen() -> None:
    wrong = row(1, 1, status="disagrees with the reference (2 genes missing)")
    elsewhere = RunRow(
        run=Run("heart", "soma-dask"),
        origin="imported",
        status="ok",
        replicates=1,
        n_obs=1,
        wall_seconds=Spread.of([1.0]),
        peak_pss_bytes=Spread.of([1]),
    )
    (choice,) = choices([wrong, elsewhere])
    assert (choice.fastest, choice.leanest, choice.n_finished) == (None, None, 0)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=20))
def test_front_holds_what_no_other_beats(points) -> None:
    rows = [row(seconds, gib, index + 1) for index, (seconds, gib) in enumerate(points)]
    best = front(rows)
    corners = {(seconds_of(each), memory_of(each) / GIB) for each in best}
    assert len(corners) == len(best)
    for seconds, gib in points:
        beaten = any(s <= seconds and g <= gib and (s, g) != (seconds, gib) for s, g in points)
        assert ((seconds, gib) in corners) == (not beaten)
