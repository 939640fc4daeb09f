"""The settings a run is executed with, from a configuration: those of all runs, or a variant's laid over them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from dask.config import merge

from somaray.cluster import LIBRARY_THREAD_VARIABLES
from somaray.credentials import WHERE, names_credential, uri_holds_credential
from somaray.errors import SomarayError
from somaray.settings import LOCAL, SLURM, DaskSettings, RunSettings, SlurmSettings
from somaray.units import parse_bytes, parse_seconds
from somaray.validation import Key, Origins

_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.%]+\]|[^\s/:@\[\]]+):[0-9]{1,5}")


def run_settings(raw: Mapping[str, Any], key: Key, origins: Origins, below: RunSettings | None = None) -> RunSettings:
    """Read `tiledb`, `dask`, `environment`, `obs_columns` and `var_columns`, each of which may be absent.

    Parameters
    ----------
    raw
        A validated mapping that may hold more than those keys.
    key
        Where it stands, to name in errors.
    below
        What it is laid over: mappings merge, columns are replaced. Settings of none at all by default.

    Raises
    ------
    SomarayError
        If a setting holds credentials, or a variable is one that the workflow sets by itself.
    """
    below = below or RunSettings()
    dask = raw.get("dask", {})
    own = DaskSettings(**{**msgspec.structs.asdict(below.dask), **dask, "slurm": below.dask.slurm})
    columns = {
        axis: tuple(dict.fromkeys(raw[axis])) if raw[axis] is not None else None
        for axis in ("obs_columns", "var_columns")
        if axis in raw
    }
    return msgspec.structs.replace(
        below,
        tiledb={**below.tiledb, **tiledb_settings(raw.get("tiledb", {}), (*key, "tiledb"), origins)},
        dask=msgspec.structs.replace(
            own,
            cluster=_cluster(own.cluster, (*key, "dask", "cluster"), origins),
            slurm=_slurm(dask.get("slurm", {}), (*key, "dask", "slurm"), origins, below.dask.slurm),
            config=merge(below.dask.config, dask.get("config", {})),
        ),
        environment={
            **below.environment,
            **_environment(raw.get("environment", {}), (*key, "environment"), origins),
        },
        **columns,
    )


def settings_named(raw: Mapping[str, Any]) -> frozenset[str]:
    """Which of `registry.SETTINGS` a mapping sets."""
    named = {name for name in ("tiledb", "environment") if raw.get(name)}
    named |= {name for name in ("obs_columns", "var_columns") if name in raw}
    return frozenset(
        named | {"library_threads" if name == "library_threads" else "dask" for name in raw.get("dask", {})}
    )


def reaching(settings: RunSettings, unaffected_by: Sequence[str], has_workers: bool) -> RunSettings:
    """Leave out what means nothing to a run of a method, so that changing it does not run it again.

    Parameters
    ----------
    has_workers
        Whether the run has worker processes, which may live elsewhere.
    """
    dask = settings.dask if has_workers else msgspec.structs.replace(settings.dask, cluster=LOCAL)
    if dask.cluster != SLURM:
        dask = msgspec.structs.replace(dask, slurm=SlurmSettings())
    settings = msgspec.structs.replace(settings, dask=dask)
    left = {name: default for name, default in _NOTHING.items() if name in unaffected_by}
    if "dask" in left:
        left["dask"] = DaskSettings(library_threads=settings.dask.library_threads)
    return msgspec.structs.replace(settings, **left)


_NOTHING: dict[str, Any] = msgspec.structs.asdict(RunSettings())


def tiledb_settings(settings: Mapping[str, Any], key: Key, origins: Origins) -> dict[str, str]:
    """TileDB takes strings; sizes with a unit become bytes, booleans its own words.

    Raises
    ------
    SomarayError
        If there are credentials among them.
    """
    for name, value in settings.items():
        if names_credential(name) or uri_holds_credential(str(value)):
            raise origins.error((*key, name), f"credentials do not belong in a configuration: {WHERE}")
    return {name: _tiledb_value(value) for name, value in settings.items()}


def _tiledb_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if text[:1].isdigit() and text.upper().endswith("B"):
        try:
            return str(parse_bytes(text))
        except SomarayError:
            return text
    return text


def _cluster(cluster: str, key: Key, origins: Origins) -> str:
    if cluster not in (LOCAL, SLURM) and not _ADDRESS.fullmatch(cluster):
        raise origins.error(
            key,
            f"{cluster!r} is no cluster: expected {LOCAL}, {SLURM}, or the address of a scheduler, e.g. tls://host:8786",
        )
    return cluster


def _slurm(raw: Mapping[str, Any], key: Key, origins: Origins, below: SlurmSettings) -> SlurmSettings:
    own = {name: value for name, value in raw.items() if name not in ("memory", "walltime", "directives")}
    if "directives" in raw:
        own["directives"] = tuple(raw["directives"])
    for name, field, parse in (
        ("memory", "memory_bytes", parse_bytes),
        ("walltime", "walltime_seconds", parse_seconds),
    ):
        if name in raw:
            try:
                own[field] = None if raw[name] is None else parse(raw[name])
            except SomarayError as error:
                raise origins.error((*key, name), str(error)) from error
            if own[field] == 0:
                raise origins.error((*key, name), "0 leaves nothing to run in: expected more, or null")
    return msgspec.structs.replace(below, **own)


def _environment(variables: Mapping[str, Any], key: Key, origins: Origins) -> dict[str, str]:
    for name, value in variables.items():
        if not name or "=" in name or "\0" in f"{name}{value}":
            raise origins.error(
                (*key, name), f"{name!r} cannot be a variable: expected a name without =, and plain text"
            )
        # The name of a file that holds secrets is none.
        if names_credential(name) and not name.upper().endswith("_FILE"):
            raise origins.error(
                (*key, name),
                "credentials do not belong in a configuration, whose variables are recorded: expected them in the "
                "environment that the workflow is started in",
            )
        if name in LIBRARY_THREAD_VARIABLES:
            raise origins.error((*key, name), f"{value!r} is not allowed: expected the threads in dask.library_threads")
        if name == "PYTHONPATH":
            raise origins.error((*key, name), f"{value!r} is not allowed: expected the modules where Python finds them")
    return {name: str(value) for name, value in variables.items()}
