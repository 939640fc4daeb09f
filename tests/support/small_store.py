"""Small TileDB-SOMA experiments made from coordinates, so that duplicates, empty rows and any type of counts are possible."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tiledbsoma
from anndata import AnnData
from scipy import sparse

from somaray.datasets.store import Source

LAYER = "raw"


def read_whole(source: Source) -> AnnData:
    """What a source's filters leave, in memory."""
    with source.open() as experiment, source.query(experiment) as query:
        return query.to_anndata(source.layer, obs_id_name=source.obs_id, var_id_name=source.var_id, drop_levels=True)


def write_store(
    path: Path,
    x: sparse.coo_matrix,
    obs: Mapping[str, Any] | None = None,
    tile: int = 8,
    capacity: int = 64,
    allows_duplicates: bool = False,
) -> Source:
    """Write an experiment of one layer; `obs` adds columns (text becomes dictionary-encoded) to `obs_id`."""
    n_obs, n_vars = x.shape
    columns = {"obs_id": [f"c{i}" for i in range(n_obs)], **(obs or {})}
    uri = str(path)
    with tiledbsoma.Experiment.create(uri) as experiment:
        _write_frame(experiment, "obs", n_obs, columns)
        measurement = experiment.add_new_collection("ms").add_new_collection("RNA", tiledbsoma.Measurement)
        _write_frame(
            measurement, "var", n_vars, {"var_id": [f"g{i}" for i in range(n_vars)], "rank": np.arange(n_vars)}
        )
        array = measurement.add_new_collection("X").add_new_sparse_ndarray(
            LAYER,
            type=pa.from_numpy_dtype(x.dtype),
            shape=(n_obs, n_vars),
            platform_config=tiledbsoma.TileDBCreateOptions(
                allows_duplicates=allows_duplicates,
                capacity=capacity,
                dims={"soma_dim_0": {"tile": tile}, "soma_dim_1": {"tile": tile}},
            ),
        )
        if x.nnz:
            coordinates = {
                "soma_dim_0": x.row.astype(np.int64),
                "soma_dim_1": x.col.astype(np.int64),
                "soma_data": x.data,
            }
            array.write(pa.table(coordinates))
    return Source(uri, "RNA", LAYER, None, None, "obs_id", "var_id", n_obs, n_vars, {})


def _write_frame(parent: Any, name: str, n_rows: int, columns: Mapping[str, Any]) -> None:
    arrays = {key: pa.array(values) for key, values in columns.items()}
    for key, values in arrays.items():
        if pa.types.is_string(values.type):
            arrays[key] = values.cast(pa.large_string()) if key.endswith("_id") else values.dictionary_encode()
    table = pa.table({"soma_joinid": np.arange(n_rows), **arrays})
    frame = parent.add_new_dataframe(
        name, schema=table.schema, index_column_names=["soma_joinid"], domain=[(0, n_rows - 1)]
    )
    frame.close()
    # Only a frame opened anew takes the values of dictionary-encoded columns.
    with tiledbsoma.DataFrame.open(frame.uri, "w") as frame:
        frame.write(table)


def no_phase(name: str) -> Any:
    """Stand where a clock would."""
    return nullcontext()


def random_counts(
    seed: int, n_obs: int, n_vars: int, density: float = 0.3, largest: int = 20, dtype: Any = np.float32
) -> sparse.coo_matrix:
    """Counts whose genes differ in abundance and cells in depth."""
    rng = np.random.default_rng(seed)
    expected = np.outer(rng.gamma(2, 1, n_obs), rng.gamma(0.5, 1, n_vars)) * largest / 4
    counts = rng.poisson(expected) * (rng.random((n_obs, n_vars)) < density)
    return sparse.coo_matrix(np.minimum(counts, largest).astype(dtype))
