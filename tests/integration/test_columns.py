"""Which columns of obs and var are read into an AnnData, by both methods that make one."""

from dataclasses import replace

import pytest
import tiledbsoma

from somaray.datasets.store import Source
from somaray.errors import SomarayError
from somaray.matrix import Run
from somaray.methods import in_memory, soma_dask
from somaray.settings import HvgSettings
from somaray.units import Parallelism
from support.small_store import no_phase, random_counts, write_store

METHODS = {
    "soma-dask": (soma_dask, Run("d", "soma-dask", 20, Parallelism(0, 1, 1))),
    "in-memory": (in_memory, Run("d", "in-memory")),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Source:
    obs = {"batch": ["x", "y"] * 20, "tissue": ["a", "a", "b", "c"] * 10, "depth": [float(n) for n in range(40)]}
    made = write_store(tmp_path_factory.mktemp("columns") / "store", random_counts(1, 40, 12), obs)
    return replace(made, obs_filter='tissue != "c"', tiledb={"soma.init_buffer_bytes": "1048576"})


@pytest.fixture(params=METHODS)
def read(request, monkeypatch):
    """Give the AnnData that a method makes, and the columns it asked the store for."""
    module, run = METHODS[request.param]
    monkeypatch.setattr(module, "select_genes", lambda adata, hvg, phase: adata)
    asked = {}
    whole_read = tiledbsoma.DataFrame.read

    def spy(frame, *args, column_names=None, **options):
        if column_names is None or set(column_names) != {"soma_joinid"}:
            asked[frame.uri.rsplit("/", 1)[-1]] = column_names
        return whole_read(frame, *args, column_names=column_names, **options)

    monkeypatch.setattr(tiledbsoma.DataFrame, "read", spy)

    def read(source: Source, **hvg):
        return module.compute_hvg(source, run, HvgSettings(**hvg), None, no_phase), asked

    return read


def test_all_columns_are_read_unless_some_are_chosen(source, read) -> None:
    adata, asked = read(source)
    assert set(adata.obs.columns) >= {"batch", "tissue", "depth"}
    assert asked == {"obs": None, "var": None}


def test_chosen_columns_and_the_needed_ones_are_read_and_no_other(source, read) -> None:
    everything, _ = read(source)
    adata, asked = read(replace(source, obs_columns=("depth",), var_columns=()), batch_key="batch")
    assert list(adata.obs_names) == list(everything.obs_names)
    assert len(adata) == 30
    assert list(adata.var_names) == list(everything.var_names)
    # The library gives the filter's column too.
    assert set(adata.obs.columns) == {"batch", "depth", "tissue"}
    assert list(adata.var.columns) == []
    # Joinids tie rows to X; the library asks for them besides.
    assert {axis: set(names) for axis, names in asked.items()} == {
        "obs": {"soma_joinid", "obs_id", "batch", "depth"},
        "var": {"soma_joinid", "var_id"},
    }


@pytest.mark.parametrize("axis", ["obs", "var"])
def test_a_column_that_is_not_there_is_told_with_those_that_are(source, read, axis) -> None:
    wrong = replace(source, **{f"{axis}_columns": ("no_such",)})
    with pytest.raises(
        SomarayError, match=rf"{axis}_columns: .* has no {axis} column 'no_such': expected some of .*{axis}_id"
    ):
        read(wrong)
