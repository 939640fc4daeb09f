"""Reading and writing records, and turning those of older versions into what they are now."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from somaray.errors import SomarayError
from somaray.settings import LOCAL, Part


class Record(Part, frozen=True, kw_only=True):
    """A whole JSON file."""

    VERSION: ClassVar[int] = 1
    schema_version: int = 1


def _of_the_default_variant(raw: dict[str, Any]) -> dict[str, Any]:
    """Before there were variants, every run was what the default is now."""
    return {**raw, "variant": "default"}


def _never_retried(raw: dict[str, Any]) -> dict[str, Any]:
    """Before a job that ended for its memory was followed by a larger one, every execution had one."""
    return {**raw, "retried": None}


def _workers_below_the_driver(raw: dict[str, Any]) -> dict[str, Any]:
    """Before workers could live elsewhere, every one was a child of the driver."""
    dask = raw.get("dask")
    return {**raw, "dask": {**dask, "cluster": LOCAL}} if isinstance(dask, dict) else raw


UPGRADES: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {
    **{(name, 1): _of_the_default_variant for name in ("Execution", "Allocations", "Agreement")},
    ("Execution", 2): _never_retried,
    ("Execution", 3): _workers_below_the_driver,
}
"""(record name, version) to the function that turns that version into the next."""


def write_record(path: str | Path, record: Record) -> None:
    """Write a record as indented JSON, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    temporary.replace(path)


def read_record[R: Record](path: str | Path, kind: type[R]) -> R:
    """Read a record strictly.

    Raises
    ------
    SomarayError
        If the file is missing, is not JSON, lacks or adds a field, or is of a newer version.
    """
    try:
        raw = msgspec.json.decode(Path(path).read_bytes())
    except FileNotFoundError as error:
        raise SomarayError(f"{path}: no such file, expected a {kind.__name__} record") from error
    except msgspec.DecodeError as error:
        raise SomarayError(f"{path}: not JSON ({error})") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("schema_version"), int):
        raise SomarayError(f"{path}: not a {kind.__name__} record: schema_version is missing")
    version = raw["schema_version"]
    while version < kind.VERSION:
        upgrade = UPGRADES.get((kind.__name__, version))
        if upgrade is None:
            raise SomarayError(f"{path}: schema_version {version} is unknown, expected {kind.VERSION}")
        raw = {**upgrade(raw), "schema_version": version + 1}
        version += 1
    if version > kind.VERSION:
        raise SomarayError(f"{path}: schema_version {version} is newer than {kind.VERSION}, the newest known here")
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise SomarayError(f"{path}: not a {kind.__name__} record: {error}") from error
