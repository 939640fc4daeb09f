"""Ingest an h5ad file of raw counts to a SOMA experiment, in bounded memory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa

from somaray.datasets.experiment import append_frame, create_experiment, create_frame
from somaray.datasets.h5ad_checks import check_unique, find_matrix, open_h5ad
from somaray.datasets.h5ad_rows import CountRows, open_rows
from somaray.datasets.writer import write_matrix
from somaray.errors import SomarayError

OBS_ID = "obs_id"
VAR_ID = "var_id"


@dataclass(frozen=True)
class Ingested:
    """What was written: shape, non-zeros, and notes on what was left out."""

    n_obs: int
    n_vars: int
    nnz: int
    notes: tuple[str, ...]


def ingest_h5ad(
    uri: Path, path: Path, layer: str, layout: str, progress: Callable[[int, int], None] = lambda done, all_of_it: None
) -> Ingested:
    """Write one matrix of a file, with obs and the var that belongs to it, to a new experiment.

    Parameters
    ----------
    uri
        Where; must not exist.
    path
        The h5ad file.
    layer
        `X`, `raw` or the name of a layer.
    layout
        `census` or `scan`.
    progress
        Called with cells done and cells in all.

    Raises
    ------
    SomarayError
        If the file or the layer is not there, names occur twice, or a value is no count.
    """
    with open_h5ad(path) as file:
        place = find_matrix(file, path, layer)
        obs, var = _read_frame(file, path, "obs"), _read_frame(file, path, place.var_key)
        for frame, key in ((obs, "obs"), (var, place.var_key)):
            check_unique(frame.index.to_numpy(str), path, key)
        create_experiment(uri)
        notes = _write_frame(uri, "obs", OBS_ID, obs) + _write_frame(uri, "var", VAR_ID, var)
        nnz = 0
        with open_rows(file, path, place, uri) as rows:
            for _, stop, reader in write_matrix(
                str(uri), place.shape, layout, lambda: CountRows(file, path, place, rows)
            ):
                nnz += reader.nnz
                progress(stop, place.shape[0])
    if not nnz:
        raise SomarayError(f"{path}: layer {layer!r} holds only zeros, expected raw counts")
    return Ingested(*place.shape, nnz, tuple(f"{path}: {note}" for note in notes))


def _read_frame(file: h5py.File, path: Path, key: str) -> pd.DataFrame:
    from anndata.io import read_elem

    try:
        frame = read_elem(file[key])
    except Exception as error:
        raise SomarayError(f"{path}: {key} cannot be read: {error}") from error
    if not isinstance(frame, pd.DataFrame):
        raise SomarayError(f"{path}: {key} is not a data frame, expected one as anndata writes it")
    return frame


def _write_frame(uri: Path, name: str, id_name: str, frame: pd.DataFrame) -> list[str]:
    table, notes = frame_table(frame, id_name)
    append_frame(create_frame(uri, name, table.schema, table.num_rows), table)
    return [f"{name} column {note}" for note in notes]


def frame_table(frame: pd.DataFrame, id_name: str) -> tuple[pa.Table, list[str]]:
    """Turn obs or var into a table that SOMA can hold: joinids, the index as a column, then the columns it knows.

    Returns
    -------
    The table, and for each column left out its name and why.
    """
    columns = {
        "soma_joinid": pa.array(np.arange(len(frame), dtype=np.int64)),
        id_name: pa.array(frame.index.to_numpy(str).tolist(), pa.large_string()),
    }
    notes = []
    for position, column in enumerate(frame.columns):
        name = str(column)
        if name in columns or name.startswith("soma_"):
            notes.append(f"{name!r} left out: the name is taken")
            continue
        try:
            columns[name] = _supported(pa.Array.from_pandas(frame.iloc[:, position]))
        except (pa.ArrowException, TypeError, ValueError) as error:
            notes.append(f"{name!r} left out: {str(error).splitlines()[0]}")
    return pa.table(columns), notes


def _supported(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    kind = values.type
    if pa.types.is_dictionary(kind):
        if not len(values.dictionary):
            raise TypeError("it has no categories")
        if kind.value_type != (labels := _stored_type(kind.value_type)):
            values = pa.DictionaryArray.from_arrays(
                values.indices, values.dictionary.cast(labels), ordered=kind.ordered
            )
        return values
    return values.cast(_stored_type(kind))


def _stored_type(kind: pa.DataType) -> pa.DataType:
    """Type SOMA stores values as.

    Raises
    ------
    TypeError
        If it has none.
    """
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.large_string()
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or kind in (pa.float32(), pa.float64()):
        return kind
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return kind
    raise TypeError(f"SOMA does not store {kind}")
