"""The model of a run's memory and time: it never falls where runs grow, and its figures are what its terms say."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from somaray.errors import SomarayError
from somaray.matrix import Run, run_from_path
from somaray.plan.constants import Constants, Fitted, constants_of, figure_of, predict, shipped_constants
from somaray.plan.size import Size
from somaray.plan.work import PEAK, SECONDS, TERMS, WORKER, work_of
from somaray.record_files import write_record
from somaray.registry import METHODS
from somaray.settings import HvgSettings, RunSettings
from somaray.units import Parallelism
from support.made_records import PROVENANCE

GIB = 2**30
HEART = Size(n_obs=1_559_974, n_vars=60_530, nnz=2_340_000_000, n_obs_columns=28, claims_totals=True)
CHUNKED = [name for name, method in METHODS.items() if method.chunked]

sizes = st.builds(
    Size,
    n_obs=st.integers(1, 5_000_000),
    n_vars=st.integers(4, 70_000),
    nnz=st.integers(0, 10**10),
    n_obs_columns=st.integers(1, 60),
)
layouts = st.builds(Parallelism, st.integers(0, 64), st.integers(1, 64), st.integers(1, 64))
GROWTH = ("chunk_size", "processes", "threads", "tile_threads")


def constants(**terms: dict[str, float]) -> Constants:
    fitted = {figure: Fitted(terms=of, margin=1.5, n_runs=1) for figure, of in terms.items()}
    return Constants(methods={"soma-dask": fitted}, provenance=PROVENANCE)


def grown(run: Run, what: str, by: int) -> Run:
    if what == "chunk_size":
        return replace(run, chunk_size=run.chunk_size + by)
    layout = run.parallelism
    return replace(run, parallelism=replace(layout, **{what: getattr(layout, what) + by % 100 + 1}))


@pytest.mark.parametrize("method", CHUNKED)
@given(
    size=sizes,
    layout=layouts,
    chunk=st.integers(1, 6_000_000),
    what=st.sampled_from(GROWTH),
    by=st.integers(1, 3_000_000),
)
def test_memory_never_falls_when_chunks_threads_or_processes_grow(method, size, layout, chunk, what, by) -> None:
    less = Run("d", method, chunk, layout)
    before, after = (
        predict(work_of(run, size, HvgSettings(), cores=8), shipped_constants())
        for run in (less, grown(less, what, by))
    )
    assert after.peak_pss_bytes >= before.peak_pss_bytes
    assert (after.largest_worker_bytes or 0) >= (before.largest_worker_bytes or 0)


@pytest.mark.parametrize("figure", [PEAK, WORKER])
@pytest.mark.parametrize("method", CHUNKED)
@given(
    size=sizes,
    layout=layouts,
    chunk=st.integers(1, 6_000_000),
    what=st.sampled_from(GROWTH),
    by=st.integers(1, 3_000_000),
    costs=st.lists(st.floats(0, 1e9), min_size=10, max_size=10),
)
def test_so_for_any_constants_that_are_not_negative(method, figure, size, layout, chunk, what, by, costs) -> None:
    """Whatever a fit finds; that of the shipped constants is none other."""
    fitted = Fitted(terms=dict(zip(TERMS[method][figure], costs, strict=False)), margin=1.0, n_runs=1)
    less = Run("d", method, chunk, layout)
    before, after = (
        figure_of(work_of(run, size, HvgSettings(), cores=8), fitted, figure) or 0.0
        for run in (less, grown(less, what, by))
    )
    assert after >= before * (1 - 1e-12)
    assert all(cost >= 0 for cost in shipped_constants().methods[method][figure].terms.values())


@given(size=sizes, layout=layouts, chunk=st.integers(1, 6_000_000))
def test_no_more_is_under_way_than_there_is(size, layout, chunk) -> None:
    work = work_of(Run("d", "soma-dask", chunk, layout), size, HvgSettings())
    assert work.nonzeros(work.all_threads) <= size.nnz * (1 + 1e-9)
    assert work.chunk_rows <= size.n_obs


def test_a_figure_is_its_terms_times_the_margin() -> None:
    """100 cells of 10 non-zeros in 4 studies: 10 cells a chunk of the densest are as many as 15 of the mean."""
    size = Size(n_obs=100, n_vars=7, nnz=1000, n_obs_columns=3)
    run = Run("d", "soma-dask", 10, Parallelism(2, 1, 1))
    made = constants(
        peak_pss_bytes={"driver": 1000, "worker": 100, "obs value": 1, "non-zero under way": 2, "byte buffered": 1},
        largest_worker_bytes={"worker": 100},
        seconds={"run": 1, "chunk": 0.5, "non-zero read": 0.01, "non-zero read, by threads": 0.001},
    )
    settings = RunSettings(tiledb={"soma.init_buffer_bytes": "40"}, obs_columns=("a",))
    found = predict(work_of(run, size, HvgSettings(), settings, cores=4), made)
    # exp(0.36 · z) with z the 87.5 % point of the normal distribution, 1.1503: 1.513 times the mean.
    under_way = 10 * (20 + 0.51303 * 20)
    buffered = 2 * 3 * 40
    assert found.peak_pss_bytes == pytest.approx(1.5 * (1000 + 200 + 100 * 2 + 2 * under_way + buffered), rel=1e-3)
    assert found.largest_worker_bytes == 150
    # Two passes over ten chunks, by two threads.
    assert found.seconds == pytest.approx(1.5 * (1 + 0.5 * 10 + 0.01 * 2000 + 0.001 * 1000))


def test_one_pass_keeps_what_it_reads_only_where_totals_are_not_known() -> None:
    run = Run("d", "one-pass", 20_000, Parallelism(2, 3, 1))
    for claims, flavor, kept in (
        (False, "seurat", 6 * 4_000_000),
        (False, "seurat_v3", 0),
        (True, "seurat", 0),
        (True, "cell_ranger", 0),
    ):
        work = work_of(run, replace(HEART, claims_totals=claims), HvgSettings(flavor=flavor))
        assert (work.kept(work.all_threads), work.kept(work.threads)) == (kept, kept / 2)


def test_what_a_run_does_not_have_is_not_predicted() -> None:
    driver_only = predict(
        work_of(Run("d", "soma-dask", 10, Parallelism(0, 2, 1)), HEART, HvgSettings()), shipped_constants()
    )
    assert driver_only.largest_worker_bytes is None
    remote = replace(HEART, remote=True)
    assert predict(work_of(Run("d", "in-memory"), remote, HvgSettings()), shipped_constants()).seconds is None
    assert predict(
        work_of(Run("d", "zarr-dask", 10, Parallelism(0, 2, 1)), remote, HvgSettings()), shipped_constants()
    ).seconds
    unknown = Constants(methods={}, provenance=PROVENANCE)
    assert predict(work_of(Run("d", "in-memory"), HEART, HvgSettings()), unknown) is None


@pytest.mark.parametrize(
    ("method", "settings", "passes"),
    [
        ("soma-dask", {}, 2),
        ("soma-dask", {"target_sum": 1e4}, 1),
        ("soma-dask", {"flavor": "seurat_v3"}, 5),
        ("one-pass", {"flavor": "seurat_v3"}, 2),
        ("in-memory", {}, 1),
        ("one-pass", {}, 1),
        ("one-pass", {"flavor": "cell_ranger"}, 2),
        ("one-pass", {"flavor": "cell_ranger", "target_sum": 1e4}, 1),
        ("census", {"flavor": "seurat_v3"}, 2),
    ],
)
def test_x_is_read_as_often_as_the_method_and_flavour_must(method, settings, passes) -> None:
    assert work_of(Run("d", method), HEART, HvgSettings(**settings)).passes == passes


def test_constants_are_shipped_for_every_method_and_figure() -> None:
    methods = shipped_constants().methods
    assert set(methods) == set(METHODS) == set(TERMS)
    for method, figures in methods.items():
        assert set(figures) == {PEAK, SECONDS} | ({WORKER} if METHODS[method].chunked else set())
        assert all(set(fitted.terms) == set(TERMS[method][figure]) for figure, fitted in figures.items())
        assert all(fitted.margin >= 1 for fitted in figures.values())


@pytest.mark.parametrize(
    ("setting", "measured_gib"),
    [
        ("one-pass/20k_2x1x1", 880 / 1024),
        ("one-pass/100k_2x2x2", 951 / 1024),
        ("one-pass/100k_4x4x4", 1.65),
        ("soma-dask/20k_2x1x1", 5.19),
        ("soma-dask/100k_2x2x2", 20.7),
    ],
)
def test_runs_thirty_times_larger_than_those_fitted_come_out_right(setting, measured_gib) -> None:
    """Peak PSS as in docs/seed-scale.md: at least that, and not twice of it."""
    run = run_from_path(f"heart/{setting}")
    prediction = predict(work_of(run, HEART, HvgSettings(), cores=2), shipped_constants())
    assert measured_gib * GIB <= prediction.peak_pss_bytes < 2 * measured_gib * GIB


def test_a_run_that_took_more_than_the_machine_had_is_foreseen() -> None:
    run = run_from_path("heart/soma-dask/100k_4x4x4")
    assert predict(work_of(run, HEART, HvgSettings()), shipped_constants()).peak_pss_bytes > 23.5 * GIB


def test_own_constants_are_used_where_they_are(tmp_path) -> None:
    assert constants_of(tmp_path) is shipped_constants()
    own = msgspec.structs.replace(shipped_constants(), own_runs=True)
    write_record(tmp_path / "plan/constants.json", own)
    assert constants_of(tmp_path) == own


def test_constants_of_another_model_are_told_and_not_used(tmp_path) -> None:
    """A term that they do not know would cost nothing."""
    write_record(tmp_path / "plan/constants.json", constants(peak_pss_bytes={"driver": 1.0}))
    with pytest.raises(SomarayError, match=r"plan/constants.json: constants of another version's model: .* --fit"):
        constants_of(tmp_path)
