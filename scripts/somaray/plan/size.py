"""How large a dataset is: by its manifest once it is prepared, before that by its entry in the catalogue where that tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from somaray.errors import SomarayError
from somaray.records import RAW_SUM, Manifest, read_record

CENSUS_OBS_COLUMNS = 28
"""Columns of obs in Census, and so in synthetic datasets."""


@dataclass(frozen=True)
class Size:
    """Cells, genes and non-zeros that the filters leave, and the columns of obs.

    `remote` is whether X is read over the net, `claims_totals` whether obs has each cell's total over the genes that are read.
    """

    n_obs: int
    n_vars: int
    nnz: int
    n_obs_columns: int
    remote: bool = False
    claims_totals: bool = False

    @property
    def nnz_per_obs(self) -> float:
        """Mean number of non-zeros a cell."""
        return self.nnz / max(self.n_obs, 1)


def size_of(manifest: Manifest) -> Size | None:
    """Size of a prepared dataset; None where the store does not tell its non-zeros."""
    if manifest.nnz is None:
        return None
    remote = "://" in manifest.uri and not manifest.uri.startswith("file:")
    claims_totals = RAW_SUM in manifest.obs_columns and manifest.n_vars == manifest.stored_n_vars
    return Size(manifest.n_obs, manifest.n_vars, manifest.nnz, len(manifest.obs_columns), remote, claims_totals)


def known_size(entry: Mapping[str, Any], manifest_path: str | Path) -> Size | None:
    """Size of a dataset as far as it is known now.

    Parameters
    ----------
    entry
        The catalogue's.
    manifest_path
        Where its manifest is or will be.

    Returns
    -------
    None for a SOMA experiment, Census, or a dense h5ad file that is not prepared yet.

    Raises
    ------
    SomarayError
        If the manifest is there and cannot be read, or the h5ad file is none.
    """
    if Path(manifest_path).exists():
        return size_of(read_record(manifest_path, Manifest))
    return _declared(entry)


def _declared(entry: Mapping[str, Any]) -> Size | None:
    if entry["kind"] == "synthetic":
        n_obs = int(entry["n_obs"])
        nnz = round(n_obs * float(entry.get("nnz_per_obs", 1500)))
        return Size(n_obs, int(entry["n_vars"]), nnz, CENSUS_OBS_COLUMNS, claims_totals=True)
    if entry["kind"] == "h5ad":
        return _size_of_h5ad(Path(entry["path"]).expanduser(), entry.get("layer", "X"))
    return None


def _size_of_h5ad(path: Path, layer: str) -> Size | None:
    from somaray.datasets.h5ad_checks import find_matrix, open_h5ad

    if not path.is_file():
        raise SomarayError(f"{path}: no such file, expected an h5ad")
    with open_h5ad(path) as file:
        place = find_matrix(file, path, layer)
        if place.form == "dense":
            # Only reading it all would tell.
            return None
        columns, nnz = file["obs"].keys(), int(file[place.key]["data"].shape[0])
        return Size(*place.shape, nnz, len(columns), claims_totals=RAW_SUM in columns)
