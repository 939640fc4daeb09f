"""From a SOMA experiment to an AnnData file of the same cells and genes, row block by row block.

The files are what a person would have who downloaded the data as AnnData: obs and var whole, X in rows (CSR), everything as
AnnData writes it unless told otherwise (h5ad without compression, zarr with its own). X never lies in memory whole: a block of
rows is read, turned into CSR and appended on disk with `anndata.io.sparse_dataset(…).append`.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from somaray.datasets.store import Source
from somaray.errors import SomarayError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import tiledbsoma
    from scipy import sparse

BLOCK_NONZEROS = 4_000_000
"""Non-zeros of an average block: as Arrow tables, coordinates and CSR side by side some 250 MB."""

MOST_BLOCK_ROWS = 65_536

BUFFER_KEY, BUFFER_BYTES = "soma.init_buffer_bytes", 32 * 1024**2
"""Buffer a column unless the dataset's own settings say otherwise; SOMA's 1 GiB for each of obs's columns is never filled."""

_REPORT_SECONDS = 5.0


def export(source: Source, path: Path, nnz: int | None = None) -> list[str]:
    """Write the cells and genes that the filters leave, in the query's order, to an h5ad file or a zarr folder.

    Parameters
    ----------
    source
        Where they are.
    path
        Ends in `.h5ad` or `.zarr`; what is there is replaced, and only by a whole one.
    nnz
        Non-zeros, to choose the blocks by; None where they are not known.

    Returns
    -------
    list of str
        Notes on columns of obs and var that AnnData cannot write and that were left out.

    Raises
    ------
    SomarayError
        If `path` ends otherwise, or the experiment does not hold what the source says.
    """
    import anndata

    source = replace(source, tiledb={BUFFER_KEY: str(BUFFER_BYTES), **source.tiledb})
    with source.open() as experiment, source.query(experiment) as query:
        obs_table, var_table = query.obs().concat(), query.var().concat()
        if len(obs_table) != source.n_obs or len(var_table) != source.n_vars:
            raise SomarayError(
                f"{source.uri}: {len(obs_table)} cells × {len(var_table)} genes, but the manifest says {source.n_obs} × "
                f"{source.n_vars}; if the store has changed, delete the dataset's manifest.json"
            )
        obs, notes = as_frame(obs_table, source.obs_id, "obs")
        var, more = as_frame(var_table, source.var_id, "var")
        array = experiment.ms[source.measurement].X[source.layer]
        joinids = obs_table["soma_joinid"].to_numpy(), var_table["soma_joinid"].to_numpy()
        show = _progress(path)
        with _written_whole(path) as part, _open_group(part) as group:
            anndata.io.write_elem(group, "/", anndata.AnnData(obs=obs, var=var))
            written = None
            for begin, block in read_blocks(array, *joinids, block_rows(len(obs), nnz)):
                if written is None:
                    # 32 bits would not count the non-zeros of a large dataset.
                    anndata.io.write_elem(group, "X", block, dataset_kwargs={"indptr_dtype": np.dtype("int64")})
                    written = anndata.io.sparse_dataset(group["X"])
                else:
                    written.append(block)
                show(begin + block.shape[0], len(obs))
    return notes + more


def block_rows(n_obs: int, nnz: int | None) -> int:
    """Rows of a block, such that it holds `BLOCK_NONZEROS` on average; where they are not counted, a few thousand rows."""
    wanted = 2_048 if nnz is None else BLOCK_NONZEROS * n_obs // max(nnz, 1)
    return min(max(wanted, 1), MOST_BLOCK_ROWS)


def read_blocks(
    array: "tiledbsoma.SparseNDArray", rows: NDArray[np.int64], genes: NDArray[np.int64], n_rows: int
) -> Iterator[tuple[int, "sparse.csr_matrix"]]:
    """Yield the position of a block's first cell, and its cells × genes, values of the array's own type.

    Parameters
    ----------
    rows, genes
        Joinids, distinct, in the order they shall have; with gaps or not.
    n_rows
        Rows of a block, the last one may have fewer.
    """
    import pyarrow as pa
    from scipy import sparse

    columns = np.full(int(genes.max()) + 1, -1, dtype=np.int32)
    columns[genes] = np.arange(len(genes), dtype=np.int32)
    # Genes are few and most are wanted: reading them all in between is faster than naming each.
    between = slice(int(genes.min()), int(genes.max()))
    dtype = array.schema.field("soma_data").type.to_pandas_dtype()
    for begin in range(0, len(rows), n_rows):
        ids = rows[begin : begin + n_rows]
        order = np.argsort(ids, kind="stable")
        ascending = ids[order]
        first, last = int(ascending[0]), int(ascending[-1])
        asked = slice(first, last) if last - first + 1 == len(ids) else pa.array(ascending)
        parts = []
        for table in array.read((asked, between)).tables():
            row, column, data = (table[name].to_numpy() for name in ("soma_dim_0", "soma_dim_1", "soma_data"))
            position, column = order[np.searchsorted(ascending, row)].astype(np.int32), columns[column]
            kept = column >= 0
            parts.append((position[kept], column[kept], data[kept]))
        empty = (np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, dtype))
        row, column, data = (np.concatenate(each) for each in zip(empty, *parts, strict=True))
        # Coordinates that the schema allows twice are added up here, as `to_anndata` does.
        block = sparse.coo_matrix((data, (row, column)), shape=(len(ids), len(genes))).tocsr()
        yield begin, block


def as_frame(table: "pa.Table", id_column: str, what: str) -> tuple["pd.DataFrame", list[str]]:
    """Turn obs or var into a table that AnnData can write, indexed by `id_column` as text.

    Text becomes categories, as AnnData does it on writing, and categories that no row has are dropped.

    Returns
    -------
    The table, and a note on each column that was left out.
    """
    import pyarrow as pa

    kept, notes = [], []
    for field in table.schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        if field.name == id_column or ((text or number) and "/" not in field.name):
            kept.append(field.name)
        else:
            notes.append(f"{what} column {field.name!r} of type {field.type} is left out: AnnData cannot write it")
    frame = table.select(kept).to_pandas()
    index = frame.pop(id_column).astype(str)
    for name in frame.columns:
        if frame[name].dtype == object:
            values = frame[name]
            frame[name] = values.astype("boolean") if _is_boolean(values) else values.astype("category")
        if frame[name].dtype == "category":
            frame[name] = frame[name].cat.remove_unused_categories()
    return frame.set_index(index.rename(id_column)), notes


def _is_boolean(values: "pd.Series") -> bool:
    return all(isinstance(value, bool) for value in values.dropna())


@contextmanager
def _open_group(path: Path) -> Iterator[Any]:
    if path.suffixes[-2:-1] == [".h5ad"]:
        import h5py

        with h5py.File(path, "w") as file:
            yield file
    else:
        import anndata
        import zarr

        group = zarr.open_group(path, mode="w", zarr_format=anndata.settings.zarr_write_format)
        yield group
        zarr.consolidate_metadata(group.store)


@contextmanager
def _written_whole(path: Path) -> Iterator[Path]:
    """Give a sibling to write to, and put it in the place of `path` once it is whole."""
    if path.suffix not in (".h5ad", ".zarr"):
        raise SomarayError(f"{path}: expected a name that ends in .h5ad or .zarr")
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(part)
    try:
        yield part.absolute()
        _remove(path)
        part.rename(path)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _progress(path: Path) -> Callable[[int, int], None]:
    told_at_seconds = time.monotonic()

    def show(done: int, of_all: int) -> None:
        nonlocal told_at_seconds
        if done == of_all or time.monotonic() - told_at_seconds > _REPORT_SECONDS:
            told_at_seconds = time.monotonic()
            print(f"{path}: {done:,} of {of_all:,} cells exported", flush=True)

    return show
