"""From lists to runs, and from a run to its path and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from somaray.errors import SomarayError
from somaray.matrix import DEFAULT, WHOLE, Run, Variant, expand, parse_setting, run_from_path
from somaray.registry import METHODS
from somaray.units import Parallelism, parse_parallelism

CHUNKED = "soma-dask"
UNCHUNKED = "in-memory"

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
layouts = st.builds(Parallelism, st.integers(0, 64), st.integers(1, 64), st.integers(1, 64))
chunk_sizes = st.integers(1, 10**7)
variants = st.just(DEFAULT) | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,12}", fullmatch=True)
chunked_runs = st.builds(Run, names, st.just(CHUNKED), chunk_sizes, layouts, variants)
whole_runs = st.builds(Run, names, st.just(UNCHUNKED), st.none(), st.none(), variants)


def paths(runs):
    return [run.path for run in runs]


@given(st.one_of(chunked_runs, whole_runs))
def test_a_run_is_read_back_from_its_path(run):
    assert run_from_path(run.path) == run


@given(st.one_of(chunked_runs, whole_runs), st.one_of(chunked_runs, whole_runs))
def test_different_runs_have_different_paths(one, other):
    assert (one == other) == (one.path == other.path)


def test_paths_keep_the_notes_names():
    assert Run("heart", CHUNKED, 100_000, Parallelism(4, 4, 4)).path == "heart/soma-dask/100k_4x4x4"
    assert Run("heart", UNCHUNKED).path == "heart/in-memory/whole"


def test_a_variant_is_the_last_part_of_a_path():
    assert Run("heart", CHUNKED, 100_000, Parallelism(4, 4, 4), "small-buffers").setting == "100k_4x4x4_small-buffers"
    assert Run("heart", UNCHUNKED, variant="v1.2").setting == "whole_v1.2"
    # A name may look like a setting and is none.
    assert run_from_path("heart/in-memory/whole_4x4x4") == Run("heart", UNCHUNKED, variant="4x4x4")


@pytest.mark.parametrize(
    "path",
    [
        "heart",
        "heart/soma-dask",
        "a/b/c/d",
        "heart/soma-dask/100k",
        "heart/soma-dask/4x4x4",
        "heart/soma-dask/100k_4x4x4_a_b",
        "heart/soma-dask/100k_4x4x4_",
        "heart/in-memory/whole_a_b",
        "heart/in-memory/whole_ä",
    ],
)
def test_a_path_of_another_shape_is_named(path):
    with pytest.raises(SomarayError, match="is not a run: expected"):
        run_from_path(path)


@given(st.lists(names, max_size=4), st.lists(chunk_sizes, max_size=4), st.lists(layouts, max_size=4), st.randoms())
def test_order_and_repeats_change_nothing(datasets, sizes, parallelism, random):
    methods = [CHUNKED, UNCHUNKED]
    expected = expand(datasets, methods, sizes, parallelism)
    shuffled = [random.sample(items * 2, len(items) * 2) for items in (datasets, sizes, parallelism)]
    assert expand(shuffled[0], methods[::-1], *shuffled[1:]) == expected


@given(st.sets(names, max_size=4), st.sets(chunk_sizes, max_size=4), st.sets(layouts, max_size=4))
def test_every_combination_is_there_once(datasets, sizes, parallelism):
    runs = expand(datasets, [CHUNKED, UNCHUNKED], sizes, parallelism)
    assert len(set(runs)) == len(runs) == len(datasets) * (len(sizes) * len(parallelism) + 1)


def test_a_method_without_chunks_has_one_run_a_dataset():
    runs = expand(["a", "b"], [UNCHUNKED], [10, 20], [Parallelism(1, 1, 1), Parallelism(2, 1, 1)])
    assert paths(runs) == ["a/in-memory/whole", "b/in-memory/whole"]


def test_tile_threads_multiply_no_method_that_has_none():
    layouts = [Parallelism(2, 1, 1), Parallelism(2, 1, 4), Parallelism(4, 1, 4)]
    runs = expand(
        ["a"],
        [CHUNKED, "h5ad-dask"],
        [100_000],
        layouts,
        exclude=[{"method": "h5ad-dask", "processes": 4}],
        runs={"a": ["h5ad-dask/20k_4x4x4", "20k_1x1x2"]},
    )
    assert paths(runs) == [
        "a/h5ad-dask/20k_1x1x1",
        "a/h5ad-dask/20k_4x4x1",
        "a/h5ad-dask/100k_2x1x1",
        "a/soma-dask/20k_1x1x2",
        "a/soma-dask/100k_2x1x1",
        "a/soma-dask/100k_2x1x4",
        "a/soma-dask/100k_4x1x4",
    ]


def test_exclude_looks_at_parallelism_as_it_was_listed():
    layouts = [Parallelism(2, 1, 1), Parallelism(2, 1, 4)]
    runs = expand(["a"], ["zarr-dask"], [10], layouts, exclude=[{"tile_threads": 1}])
    assert paths(runs) == ["a/zarr-dask/10_2x1x1"]


def test_runs_are_sorted_by_size_not_by_name():
    runs = expand(
        ["a"], [CHUNKED], [1_000_000, 5000, 100_000], [parse_parallelism(text) for text in ("10x1x1", "2x1x1")]
    )
    assert [run.setting for run in runs] == [
        "5k_2x1x1", "5k_10x1x1", "100k_2x1x1", "100k_10x1x1", "1M_2x1x1", "1M_10x1x1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "dropped"),
    [
        ({"dataset": "a"}, lambda run: run.dataset == "a"),
        ({"method": UNCHUNKED}, lambda run: run.method == UNCHUNKED),
        ({"chunk_size": "100k"}, lambda run: run.chunk_size == 100_000),
        ({"chunk_size": 100_000}, lambda run: run.chunk_size == 100_000),
        ({"parallelism": "4x2x1"}, lambda run: str(run.parallelism) == "4x2x1"),
        ({"processes": 0}, lambda run: run.setting.split("_")[-1].startswith("0x")),
        ({"threads": 2}, lambda run: run.parallelism is not None and run.parallelism.threads == 2),
        ({"tile_threads": 8}, lambda run: run.setting.endswith("x8")),
        ({"dataset": "b", "processes": 4}, lambda run: run.dataset == "b" and run.setting.split("_")[-1][0] == "4"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_exclude_drops_what_every_key_of_it_matches(pattern, dropped):
    axes = (["a", "b"], [CHUNKED, UNCHUNKED], [50_000, 100_000], [Parallelism(4, 2, 1), Parallelism(0, 4, 8)])
    everything = expand(*axes)
    kept = expand(*axes, exclude=[pattern])
    assert kept == tuple(run for run in everything if not dropped(run))
    assert 0 < len(kept) < len(everything)


def test_each_exclude_drops_runs_of_its_own():
    axes = (["a"], [CHUNKED], [10, 20], [Parallelism(1, 1, 1), Parallelism(2, 1, 1)])
    runs = expand(*axes, exclude=[{"chunk_size": 10, "processes": 1}, {"chunk_size": 20, "processes": 2}])
    assert [run.setting for run in runs] == ["10_2x1x1", "20_1x1x1"]


def test_named_runs_stand_beside_the_matrix_and_are_not_excluded():
    runs = expand(
        ["a"],
        [CHUNKED, UNCHUNKED],
        [10],
        [Parallelism(1, 1, 1)],
        exclude=[{"dataset": "b"}, {"method": UNCHUNKED}],
        runs={"b": ["100k_4x4x4", UNCHUNKED], "a": ["10_1x1x1", "soma-dask/20_0x2x1"]},
    )
    assert paths(runs) == [
        "a/soma-dask/10_1x1x1",
        "a/soma-dask/20_0x2x1",
        "b/in-memory/whole",
        "b/soma-dask/100k_4x4x4",
    ]


def test_a_named_setting_is_for_every_chosen_method_with_chunks():
    chunked = [name for name, method in METHODS.items() if method.chunked]
    runs = expand([], list(METHODS), [], [], runs={"a": ["10_1x1x1"]})
    assert {run.method for run in runs} == set(chunked)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("10_4x4", "'4x4' is not a parallelism"),
        ("10q_4x4x4", "'10q' is not a count"),
        ("nothing", "'nothing' is not a run"),
        ("magic/10_1x1x1", "unknown method 'magic'"),
        ("in-memory/10_1x1x1", "in-memory runs as whole"),
        (CHUNKED, "runs with a chunk size and parallelism"),
        (WHOLE, "runs with a chunk size and parallelism"),
    ],
)
def test_a_wrong_named_run_is_told(name, message):
    with pytest.raises(SomarayError, match=message):
        expand([], [CHUNKED, UNCHUNKED], [], [], runs={"a": [name]})


def test_whole_is_the_setting_without_chunks():
    assert parse_setting(WHOLE) == (None, None, DEFAULT)
    assert parse_setting("100k_0x4x2") == (100_000, Parallelism(0, 4, 2), DEFAULT)


SMALL = Variant("small-buffers", frozenset({"tiledb"}))
ONE_COLUMN = Variant("one-column", frozenset({"obs_columns"}))
SPILLING = Variant("spilling", frozenset({"dask"}))
AXES = (["a"], [CHUNKED, UNCHUNKED, "one-pass"], [10, 20], [Parallelism(1, 1, 1)])


def variants_of(runs, method):
    return {run.variant for run in runs if run.method == method}


def test_a_variant_multiplies_the_methods_it_reaches():
    runs = expand(*AXES, variants=[Variant(), SMALL, ONE_COLUMN, SPILLING])
    assert variants_of(runs, CHUNKED) == {DEFAULT, "small-buffers", "one-column", "spilling"}
    assert variants_of(runs, UNCHUNKED) == {DEFAULT, "small-buffers", "one-column"}
    assert variants_of(runs, "one-pass") == {DEFAULT, "small-buffers", "spilling"}
    assert len(runs) == 2 * 4 + 3 + 2 * 3


def test_library_threads_reach_processes_without_dask():
    assert Variant("x", frozenset({"dask", "library_threads"})).reaches(UNCHUNKED)


def test_an_empty_variant_repeats_every_run():
    runs = expand(*AXES, variants=[Variant(), Variant("again")])
    assert {run.setting for run in runs if run.variant == "again"} == {
        "10_1x1x1_again",
        "20_1x1x1_again",
        "whole_again",
    }
    assert len(runs) == 2 * len(expand(*AXES))


def test_without_the_default_a_method_that_no_variant_reaches_still_runs():
    runs = expand(*AXES, variants=[SPILLING])
    assert variants_of(runs, CHUNKED) == {"spilling"}
    assert variants_of(runs, UNCHUNKED) == {DEFAULT}


def test_a_variant_of_some_runs_only():
    only = ({"method": CHUNKED, "chunk_size": "20"}, {"method": UNCHUNKED})
    runs = expand(*AXES, variants=[Variant(), Variant("some", frozenset({"tiledb"}), only), Variant("none", only=())])
    assert {run.path for run in runs if run.variant != DEFAULT} == {
        "a/soma-dask/20_1x1x1_some", "a/in-memory/whole_some",
    }  # fmt: skip
    assert {run for run in runs if run.variant == DEFAULT} == set(expand(*AXES))


def test_variants_stand_after_the_default_of_the_same_run():
    runs = expand(["a"], [CHUNKED], [10, 100], AXES[3], variants=[SMALL, Variant("a"), Variant()])
    assert [run.setting for run in runs] == [
        "10_1x1x1", "10_1x1x1_a", "10_1x1x1_small-buffers", "100_1x1x1", "100_1x1x1_a", "100_1x1x1_small-buffers",
    ]  # fmt: skip


def test_exclude_knows_variants():
    runs = expand(*AXES, exclude=[{"variant": "small-buffers", "chunk_size": 10}], variants=[Variant(), SMALL])
    assert "a/soma-dask/10_1x1x1_small-buffers" not in paths(runs)
    assert "a/soma-dask/20_1x1x1_small-buffers" in paths(runs)
    assert len(expand(*AXES, exclude=[{"variant": DEFAULT}], variants=[Variant(), SMALL])) == len(expand(*AXES))


def test_named_runs_may_name_a_variant():
    runs = expand(
        [], [CHUNKED, "one-pass"], [], [], runs={"a": ["10_1x1x1_one-column", "in-memory/whole_one-column", "10_1x1x1"]},
        variants=[ONE_COLUMN],
    )  # fmt: skip
    assert paths(runs) == [
        "a/in-memory/whole_one-column", "a/one-pass/10_1x1x1", "a/soma-dask/10_1x1x1", "a/soma-dask/10_1x1x1_one-column",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("10_1x1x1_other", "unknown variant 'other': expected one of default, one-column"),
        ("one-pass/10_1x1x1_one-column", "nothing that variant one-column sets means anything to one-pass"),
    ],
)
def test_a_wrong_variant_of_a_named_run_is_told(name, message):
    with pytest.raises(SomarayError, match=message):
        expand([], [CHUNKED], [], [], runs={"a": [name]}, variants=[ONE_COLUMN])
