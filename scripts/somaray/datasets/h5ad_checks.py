"""Look into an h5ad file before anything runs: is it one, is the layer there, does it hold raw counts. Imports h5py alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from somaray.errors import SomarayError

SAMPLE = 4096
"""Values looked at in each of three places."""

LARGEST_COUNT = 1 << 24
"""Beyond it float32, which X is stored as, does not hold every whole number."""

CHUNK_CACHE_BYTES = 64 << 20
_EXAMPLES = 5


@dataclass(frozen=True)
class MatrixPlace:
    """Where counts lie in a file.

    Parameters
    ----------
    key
        Path inside the file, e.g. `layers/counts`.
    layer
        What the user calls it: `X`, `raw` or a layer's name.
    form
        `csr`, `csc` or `dense`.
    shape
        Cells × genes.
    var_key
        `var`, or `raw/var` for raw.X.
    """

    key: str
    layer: str
    form: str
    shape: tuple[int, int]
    var_key: str


@contextmanager
def open_h5ad(path: str | Path) -> Iterator[h5py.File]:
    """Open an h5ad file for reading.

    Raises
    ------
    SomarayError
        If there is no such file, or it is not an h5ad.
    """
    if not Path(path).is_file():
        raise SomarayError(f"{path}: no such file, expected an h5ad")
    try:
        file = h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE_BYTES)
    except OSError as error:
        raise SomarayError(f"{path}: not an h5ad, or damaged: HDF5 says {error}") from error
    with file:
        for key in ("obs", "var"):
            if not isinstance(file.get(key), h5py.Group):
                raise SomarayError(
                    f"{path}: not an h5ad: it has no group {key!r} (files of anndata before 0.7 have none: open and write "
                    "it again with a newer anndata)"
                )
        yield file


def layers(file: h5py.File) -> dict[str, str]:
    """Find what can be asked for: `X`, `raw` and names of layers, each with its path inside the file."""
    found = {"X": "X"} if _is_matrix(file.get("X")) else {}
    if isinstance(file.get("raw"), h5py.Group) and _is_matrix(file["raw"].get("X")):
        found["raw"] = "raw/X"
    named = file.get("layers")
    if isinstance(named, h5py.Group):
        found |= {name: f"layers/{name}" for name in named if name not in found and _is_matrix(named[name])}
    return found


def find_matrix(file: h5py.File, path: str | Path, layer: str) -> MatrixPlace:
    """Find the matrix a layer's name stands for.

    Raises
    ------
    SomarayError
        If there is none of that name (those there are are listed), it has no cells or no genes, or obs or var do not fit it.
    """
    found = layers(file)
    if layer not in found:
        raise SomarayError(f"{path}: layer {layer!r} is not in the file: expected one of {', '.join(found) or 'none'}")
    key = found[layer]
    node = file[key]
    form, shape = _form(node), _shape(node)
    var_key = "raw/var" if key == "raw/X" else "var"
    if 0 in shape:
        raise SomarayError(
            f"{path}: layer {layer!r} is empty ({shape[0]} cells × {shape[1]} genes): expected at least one of each"
        )

    for frame, size, what in (("obs", shape[0], "cells"), (var_key, shape[1], "genes")):
        names = _names(file, path, frame).shape[0]
        if names != size:
            raise SomarayError(f"{path}: layer {layer!r} has {size} {what}, but {frame} has {names} rows")
    values = node["data"] if form != "dense" else node
    if values.dtype.kind not in "iufb":
        raise SomarayError(f"{path}: layer {layer!r} holds {values.dtype}, expected numbers")
    if form != "dense" and values.size == 0:
        raise SomarayError(f"{path}: layer {layer!r} holds only zeros, expected raw counts")
    return MatrixPlace(key, layer, form, shape, var_key)


def check_h5ad(path: str | Path, layer: str = "X") -> None:
    """Check, in a fraction of a second, what can be known of a file without reading it all.

    Its existence, the layer, unique gene names, and a sample of values from the front, the middle and the back.

    Raises
    ------
    SomarayError
        Naming the file, the layer and what was expected.
    """
    with open_h5ad(path) as file:
        place = find_matrix(file, path, layer)
        check_unique(read_names(file, path, place.var_key), path, place.var_key)
        bad = _sample(file, place)
        if bad is not None:
            raise not_counts(file, path, place, *bad)


def check_unique(names: np.ndarray, path: str | Path, frame: str) -> None:
    """Refuse names that stand for two cells or genes.

    Raises
    ------
    SomarayError
        With examples.
    """
    distinct, times = np.unique(names, return_counts=True)
    if distinct.size != names.size:
        twice = distinct[times > 1]
        examples = ", ".join(map(repr, twice[:_EXAMPLES].tolist())) + (", …" if twice.size > _EXAMPLES else "")
        raise SomarayError(
            f"{path}: {twice.size} names of {frame} stand for more than one row: {examples}; expected unique names "
            f"(adata.{'obs' if frame == 'obs' else 'var'}_names_make_unique() makes them so)"
        )


def read_names(file: h5py.File, path: str | Path, frame: str) -> np.ndarray:
    """Read the names of obs or var as text."""
    names = _names(file, path, frame)
    return names.asstr()[:] if h5py.check_string_dtype(names.dtype) else names[:].astype(str)


def not_counts(
    file: h5py.File, path: str | Path, place: MatrixPlace, value: float, row: int, column: int
) -> SomarayError:
    """Say that a value is no count, whose it is, and which layers hold counts."""
    cell = read_names(file, path, "obs")[row]
    gene = read_names(file, path, place.var_key)[column]
    if not np.isfinite(value):
        problem = f"holds a value that is not a number ({value})"
    elif value > LARGEST_COUNT and float(value).is_integer():
        problem = f"holds {value:.0f}, more than {LARGEST_COUNT:,}, which float32 does not hold exactly,"
    else:
        problem = f"holds no raw counts: {value:g}"
    others = [name for name in layers(file) if name != place.layer and _holds_counts(file, path, name)]
    hint = f"; layer {' or '.join(map(repr, others))} holds counts" if others else ""
    return SomarayError(
        f"{path}: layer {place.layer!r} {problem} at cell {str(cell)!r}, gene {str(gene)!r}; "
        f"expected whole numbers from 0 on{hint}"
    )


def first_bad(values: np.ndarray) -> int | None:
    """Find the first value that is no count: not finite, negative, no whole number, or too large for float32."""
    with np.errstate(invalid="ignore"):
        good = (values >= 0) & (values <= LARGEST_COUNT)
        if values.dtype.kind == "f":
            good &= values == np.floor(values)
    return None if good.all() else int(np.argmin(good))


def _holds_counts(file: h5py.File, path: str | Path, layer: str) -> bool:
    try:
        return _sample(file, find_matrix(file, path, layer)) is None
    except SomarayError:
        return False


def _sample(file: h5py.File, place: MatrixPlace) -> tuple[float, int, int] | None:
    """Look for a value that is no count in three places; give it with its row and column."""
    node = file[place.key]
    if place.form == "dense":
        rows = max(1, SAMPLE // place.shape[1])
        for start in _starts(place.shape[0], rows):
            block = node[start : start + rows]
            at = first_bad(block.ravel())
            if at is not None:
                row, column = divmod(at, place.shape[1])
                return float(block[row, column]), start + row, column
        return None
    for start in _starts(node["data"].size, SAMPLE):
        values = node["data"][start : start + SAMPLE]
        at = first_bad(values)
        if at is not None:
            major = int(np.searchsorted(node["indptr"][:], start + at, side="right")) - 1
            minor = int(node["indices"][start + at])
            row, column = (major, minor) if place.form == "csr" else (minor, major)
            return float(values[at]), row, column
    return None


def _starts(size: int, length: int) -> list[int]:
    return sorted({0, max(0, (size - length) // 2), max(0, size - length)})


def _names(file: h5py.File, path: str | Path, frame: str) -> h5py.Dataset:
    group = file.get(frame)
    index = group.attrs.get("_index") if isinstance(group, h5py.Group) else None
    if index is None or index not in group:
        raise SomarayError(f"{path}: {frame} has no index, expected a data frame as anndata writes it")
    node = group[index]
    # A categorical index is a group of codes and categories; anndata writes none, other tools do.
    if isinstance(node, h5py.Group):
        raise SomarayError(f"{path}: the index of {frame} is not plain text, expected one name a row")
    return node


def _is_matrix(node: Any) -> bool:
    if isinstance(node, h5py.Dataset):
        return node.shape is not None and node.ndim == 2
    return isinstance(node, h5py.Group) and {"data", "indices", "indptr"} <= set(node)


def _form(node: Any) -> str:
    if isinstance(node, h5py.Dataset):
        return "dense"
    encoding = node.attrs.get("encoding-type", node.attrs.get("h5sparse_format", ""))
    return "csc" if "csc" in str(encoding) else "csr"


def _shape(node: Any) -> tuple[int, int]:
    shape = node.shape if isinstance(node, h5py.Dataset) else node.attrs.get("shape", node.attrs.get("h5sparse_shape"))
    return int(shape[0]), int(shape[1])
