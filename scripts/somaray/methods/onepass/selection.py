"""What a dataset's filters leave, read from obs and var before X: joinids, batches, totals that obs claims, gene names."""

import json
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import tiledbsoma
from numpy.typing import NDArray

from somaray.errors import SomarayError
from somaray.methods.onepass.compressed import JoinIds
from somaray.methods.onepass.reading import (
    BUDGET_KEY,
    BUFFER_KEY,
    DEFAULT_BUFFER_BYTES,
    Layer,
    choose_band_rows,
    choose_budget_bytes,
)
from somaray.methods.onepass.tasks import normalised_dtype
from somaray.records import RAW_SUM
from somaray.settings import HvgSettings

if TYPE_CHECKING:
    from somaray.datasets.store import Source

TASKS_BY_DEFAULT = 64
"""Tasks where no chunk size is named. It must not follow from the number of workers: the same bytes come out of any."""


@dataclass(frozen=True)
class Selection:
    """Cells and genes of one computation.

    Parameters
    ----------
    joinids
        Of the cells, ascending.
    batch_codes, batch_names
        Batch of each cell (-1: none); one batch of all cells without a batch key.
    claimed_totals
        `raw_sum` of each cell where it may stand for the totals; else None.
    var_names
        Genes, in the query's order.
    columns
        Column of the sums for each of `var_names`.
    normalised_dtype
        Type in which Scanpy normalises the counts, and keeps their totals.
    """

    layer: Layer
    joinids: NDArray[np.int64]
    batch_codes: NDArray[np.int32]
    batch_names: list[Any]
    claimed_totals: NDArray[np.floating] | None
    var_names: pd.Index
    columns: NDArray[np.int64]
    normalised_dtype: type[np.floating]

    def chunk_rows(self, wanted: int | None) -> int:
        """Rows a task: as wanted, else a share of the cells, in whole strips."""
        if wanted is not None:
            return wanted
        strips = -(-len(self.joinids) // (self.layer.band_rows * TASKS_BY_DEFAULT))
        return max(strips, 1) * self.layer.band_rows


def select(source: "Source", hvg: HvgSettings) -> Selection:
    """Read obs and var through the source's filters.

    Raises
    ------
    SomarayError
        If nothing is left, or the batch key is missing, has gaps or is of a type that Scanpy does not take.
    """
    source = replace(source, tiledb={BUFFER_KEY: str(DEFAULT_BUFFER_BYTES), **source.tiledb})
    with source.open() as experiment, source.query(experiment) as query:
        array = experiment.ms[source.measurement].X[source.layer]
        obs_columns = set(experiment.obs.keys())
        if hvg.batch_key and hvg.batch_key not in obs_columns:
            raise SomarayError(f"batch_key: {source.uri} has no obs column {hvg.batch_key!r}")
        use_claims = not hvg.flavor.startswith("seurat_v3") and _claims_totals(experiment.obs.schema)
        names = ["soma_joinid", *([hvg.batch_key] if hvg.batch_key else []), *([RAW_SUM] if use_claims else [])]
        obs = query.obs(column_names=list(dict.fromkeys(names))).concat()
        var = query.var(column_names=list(dict.fromkeys(["soma_joinid", source.var_id]))).concat()
        if not len(obs) or not len(var):
            raise SomarayError(
                f"{source.uri}: the filters leave {len(obs)} cells and {len(var)} genes "
                f"(obs_filter {source.obs_filter!r}, var_filter {source.var_filter!r})"
            )
        joinids = obs["soma_joinid"].to_numpy()
        order = np.argsort(joinids, kind="stable")
        codes, batches = np.zeros(len(joinids), dtype=np.int32), [None]
        if hvg.batch_key:
            codes, batches = encode_batches(obs[hvg.batch_key].to_pandas(), hvg)
        var_joinids = var["soma_joinid"].to_numpy()
        layer = _layer(source, array, var_joinids)
        dtype = normalised_dtype(array.schema.field("soma_data").type.to_pandas_dtype())
        # The claim is over all genes: nothing to go by where a filter leaves some.
        claims = obs[RAW_SUM].to_numpy()[order].astype(dtype) if use_claims and layer.genes is None else None
        return Selection(
            layer=layer,
            joinids=joinids[order],
            batch_codes=codes[order],
            batch_names=batches,
            claimed_totals=claims,
            var_names=pd.Index(var[source.var_id].to_pandas().astype(object), name=source.var_id),
            columns=var_joinids if layer.genes is None else np.argsort(np.argsort(var_joinids)),
            normalised_dtype=dtype,
        )


def _claims_totals(obs: pa.Schema) -> bool:
    """Whether obs has numbers under Census's name for totals; what else somebody calls so is none of ours."""
    if RAW_SUM not in obs.names:
        return False
    found = obs.field(RAW_SUM).type
    return pa.types.is_integer(found) or pa.types.is_floating(found)


def encode_batches(column: pd.Series, hvg: HvgSettings) -> tuple[NDArray[np.int32], list[Any]]:
    """Turn a batch column into codes and names, unused names left out."""
    v3 = hvg.flavor.startswith("seurat_v3")
    if not isinstance(column.dtype, pd.CategoricalDtype):
        if not v3 and pd.api.types.infer_dtype(column, skipna=True) != "string":
            raise SomarayError(
                f"batch_key: obs column {hvg.batch_key!r} is of type {column.dtype}; flavor {hvg.flavor} takes text or "
                "categories"
            )
        values = pd.Categorical(column)
    else:
        values = column.cat.remove_unused_categories().array
    if v3:
        values = values.reorder_categories(sorted(values.categories))
        if (values.codes < 0).any():
            raise SomarayError(
                f"batch_key: obs column {hvg.batch_key!r} has gaps, which flavor {hvg.flavor} does not take"
            )
    if not len(values.categories):
        raise SomarayError(f"batch_key: obs column {hvg.batch_key!r} names no batch for any of the cells")
    return np.asarray(values.codes, dtype=np.int32), list(values.categories)


def _layer(source: "Source", array: "tiledbsoma.SparseNDArray", var_joinids: NDArray[np.int64]) -> Layer:
    (_, last_row), (_, last_gene) = array.non_empty_domain() or ((0, 0), (0, 0))
    every_gene = len(var_joinids) == var_joinids.max() + 1 and last_gene < len(var_joinids)
    options = array.schema_config_options()
    tile_rows = int(json.loads(options.dims)["soma_dim_0"]["tile"])
    try:
        # `nnz` would count one by one where fragments overlap; an estimate does.
        n_stored = array._handle.fragment_cell_count()
    except (AttributeError, tiledbsoma.SOMAError):
        n_stored = 0
    value_bytes = array.schema.field("soma_data").type.bit_width // 8
    budget_bytes = choose_budget_bytes(n_stored, options.capacity, value_bytes)
    if BUDGET_KEY in source.tiledb:
        # A larger one would only be filled, by every thread.
        budget_bytes = min(budget_bytes, int(source.tiledb[BUDGET_KEY]))
    return Layer(
        uri=array.uri,
        tiledb={**source.tiledb, BUDGET_KEY: str(budget_bytes)},
        genes=None if every_gene else JoinIds.from_array(np.sort(var_joinids)),
        n_columns=len(var_joinids),
        band_rows=choose_band_rows(tile_rows, last_row + 1, n_stored),
        n_rows=array.shape[0],
        opening=uuid.uuid4().hex,
    )
