"""Find a SOMA experiment that is already there, local or remote, check it, and count what its filters leave."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from somaray.datasets.census_schema import LAYER, MEASUREMENT
from somaray.datasets.releases import find_release
from somaray.datasets.storage_errors import NO_SIGN, REGION, explain_s3, plain_message
from somaray.errors import SomarayError

if TYPE_CHECKING:
    import tiledbsoma

OBS_IDS = ("obs_id", "soma_joinid")
VAR_IDS = (
    "var_id",
    "feature_id",
    "gene_id",
    "gene_ids",
    "ensembl_id",
    "feature_name",
    "gene_name",
    "gene",
    "soma_joinid",
)
"""Columns that name cells and genes, the first that is there is taken."""

PATIENCE = {"vfs.s3.connect_timeout_ms": "5000", "vfs.s3.connect_max_tries": "3"}
"""How long a place that does not answer is waited for, where a dataset's settings do not say: TileDB's own is a minute."""

_LISTED = 30


@dataclass(frozen=True)
class Located:
    """What was found; the fields are those of `records.Manifest`."""

    uri: str
    measurement: str
    layer: str
    obs_filter: str | None
    var_filter: str | None
    obs_id: str
    var_id: str
    n_obs: int
    n_vars: int
    nnz: int | None
    stored_n_obs: int
    stored_n_vars: int
    size_bytes: int | None
    obs_columns: tuple[str, ...]
    tiledb: dict[str, str]


def is_remote(uri: str) -> bool:
    """Whether a URI has a scheme that is not a file's."""
    return "://" in uri and not uri.startswith("file://")


def absolute_uri(uri: str) -> str:
    """Make a local path absolute, taken from the current directory; leave other URIs as they are."""
    return uri if is_remote(uri) else str(Path(uri.removeprefix("file://")).expanduser().absolute())


def locate_soma(entry: Mapping[str, Any]) -> Located:
    """Locate a catalogue entry of kind `soma`.

    Parameters
    ----------
    entry
        `uri`, and optionally `measurement`, `layer`, `obs_filter`, `var_filter`, `obs_id`, `var_id`, `tiledb`.

    Raises
    ------
    SomarayError
        If there is no experiment, measurement, layer or id column of that name, a filter is wrong, or nothing is left.
    """
    return locate(
        absolute_uri(entry["uri"]),
        entry.get("measurement", MEASUREMENT),
        entry.get("layer", LAYER),
        entry.get("obs_filter"),
        entry.get("var_filter"),
        entry.get("obs_id"),
        entry.get("var_id"),
        entry.get("tiledb") or {},
    )


def locate_census(entry: Mapping[str, Any]) -> Located:
    """Locate a catalogue entry of kind `census`: primary cells of an organism, of one tissue if it says so.

    Parameters
    ----------
    entry
        `version` and optionally `organism`, `tissue`, `obs_filter`, `var_filter`, `uri`, `releases`, `tiledb`. With `uri`,
        the root of another store of Census's shape, nothing is looked up; else requests are anonymous, as Census is public.

    Raises
    ------
    SomarayError
        As `locate_soma`, or if Census's list of versions cannot be had or lacks the version.
    """
    settings = dict(entry.get("tiledb") or {})
    if entry.get("uri"):
        root = absolute_uri(entry["uri"])
    else:
        root, region = find_release(str(entry["version"]), entry.get("releases"))
        settings = {NO_SIGN: "true", REGION: region, **settings}
    filters = ["is_primary_data == True"]
    if entry.get("tissue"):
        filters.append(f"tissue_general == {json.dumps(entry['tissue'], ensure_ascii=False)}")
    if entry.get("obs_filter"):
        filters.append(f"({entry['obs_filter']})")
    return locate(
        f"{root.rstrip('/')}/census_data/{entry.get('organism', 'homo_sapiens')}",
        MEASUREMENT,
        LAYER,
        " and ".join(filters),
        entry.get("var_filter"),
        None,
        "feature_id",
        settings,
        nnz_column="nnz",
    )


def locate(
    uri: str,
    measurement: str,
    layer: str,
    obs_filter: str | None,
    var_filter: str | None,
    obs_id: str | None,
    var_id: str | None,
    tiledb: Mapping[str, str],
    nnz_column: str | None = None,
) -> Located:
    """Open an experiment, check names and filters and count.

    Parameters
    ----------
    obs_id, var_id
        Columns that name cells and genes; None chooses.
    nnz_column
        Column of obs that is known to hold each cell's non-zeros.

    Raises
    ------
    SomarayError
        See `locate_soma`.
    """
    import tiledbsoma

    with _open(uri, {**PATIENCE, **tiledb}) as experiment:
        measured = _member(experiment.ms, measurement, uri, "measurement")
        x = _member(measured.X, layer, uri, "layer")
        if not isinstance(x, tiledbsoma.SparseNDArray):
            raise SomarayError(f"{uri}: layer {layer!r} is a {type(x).__name__}, expected a SparseNDArray")
        obs_columns, var_columns = tuple(experiment.obs.schema.names), tuple(measured.var.schema.names)
        obs_id = _id_column(uri, "obs_id", obs_id, obs_columns, OBS_IDS)
        var_id = _id_column(uri, "var_id", var_id, var_columns, VAR_IDS)
        with experiment.axis_query(
            measurement,
            obs_query=tiledbsoma.AxisQuery(value_filter=obs_filter),
            var_query=tiledbsoma.AxisQuery(value_filter=var_filter),
        ) as query:
            n_obs = _count(uri, "obs_filter", obs_filter, query, "obs")
            n_vars = _count(uri, "var_filter", var_filter, query, "var")
            nnz = _nnz(uri, x, layer, query, nnz_column, obs_filter is not None, var_filter is not None)
        return Located(
            uri=uri,
            measurement=measurement,
            layer=layer,
            obs_filter=obs_filter,
            var_filter=var_filter,
            obs_id=obs_id,
            var_id=var_id,
            n_obs=n_obs,
            n_vars=n_vars,
            nnz=nnz,
            stored_n_obs=experiment.obs.count,
            stored_n_vars=measured.var.count,
            size_bytes=stored_bytes(x.uri, tiledb),
            obs_columns=obs_columns,
            tiledb=dict(tiledb),
        )


def stored_bytes(uri: str, tiledb: Mapping[str, str] | None = None) -> int | None:
    """Add up the files below a URI; None where the store does not tell."""
    if not is_remote(uri):
        top = uri.removeprefix("file://")
        return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, files in os.walk(top) for name in files)
    import tiledb as tiledb_core

    try:
        return int(tiledb_core.VFS(config=tiledb_core.Config({**PATIENCE, **(tiledb or {})})).dir_size(uri))
    except tiledb_core.TileDBError:
        return None


def _open(uri: str, tiledb: Mapping[str, str]) -> "tiledbsoma.Experiment":
    import tiledbsoma

    try:
        found = tiledbsoma.open(uri, context=tiledbsoma.SOMATileDBContext(tiledb_config=dict(tiledb)))
    except Exception as error:  # the storage's own errors have no common class, and all of them mean this
        explained = explain_s3(error, tiledb)
        if explained is None and isinstance(error, tiledbsoma.DoesNotExistError):
            explained = "there is no SOMA experiment here"
        explained = explained or f"cannot be opened as a SOMA experiment: {plain_message(error)}"
        raise SomarayError(f"{uri}: {explained}") from error
    if not isinstance(found, tiledbsoma.Experiment):
        found.close()
        raise SomarayError(f"{uri}: is a SOMA {type(found).__name__}, expected an Experiment")
    return found


def _member(collection: Any, name: str, uri: str, what: str) -> Any:
    if name not in collection:
        raise SomarayError(f"{uri}: {what} {name!r} is not in the experiment: expected one of {_listed(collection)}")
    return collection[name]


def _id_column(uri: str, key: str, asked: str | None, columns: Sequence[str], preferred: Sequence[str]) -> str:
    if asked is None:
        return next(name for name in preferred if name in columns)
    if asked not in columns:
        raise SomarayError(f"{uri}: {key} {asked!r} is not a column: expected one of {_listed(columns)}")
    return asked


def _count(uri: str, key: str, value_filter: str | None, query: Any, axis: str) -> int:
    import tiledbsoma

    try:
        count = int(query.n_obs if axis == "obs" else query.n_vars)
    except (tiledbsoma.SOMAError, ValueError, TypeError) as error:
        raise SomarayError(f"{uri}: {key} {value_filter!r}: {plain_message(error)}") from error
    if not count:
        what = "cell" if axis == "obs" else "gene"
        raise SomarayError(f"{uri}: {key} {value_filter!r} leaves no {what}: expected at least one")
    return count


def _nnz(
    uri: str, x: Any, layer: str, query: Any, nnz_column: str | None, cells_filtered: bool, genes_filtered: bool
) -> int | None:
    """Count non-zeros where it is exact and cheap, or at least local."""
    if not cells_filtered and not genes_filtered:
        return int(x.nnz)
    if not genes_filtered and nnz_column is not None:
        return sum(int(table[nnz_column].to_numpy().sum()) for table in query.obs(column_names=[nnz_column]))
    if is_remote(uri):
        return None
    return sum(len(table) for table in query.X(layer).tables())


def _listed(names: Any) -> str:
    names = sorted(map(str, names))
    return (", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")) or "none"
