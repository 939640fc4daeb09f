"""On what, with which versions and when something was measured."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

from somaray.records import Host, Provenance

PACKAGES = (
    "anndata",
    "cloudpickle",
    "dask",
    "distributed",
    "fast-array-utils",
    "h5py",
    "memray",
    "msgpack",
    "numba",
    "numpy",
    "pandas",
    "pyarrow",
    "scanpy",
    "scipy",
    "snakemake",
    "somacore",
    "somaray",
    "tiledb",
    "tiledbsoma",
    "zarr",
)
"""Packages, by their names in the registry, that a run can meet or that shape it."""


@cache
def host() -> Host:
    """Describe this machine."""
    memory_kib = int(_first_value("/proc/meminfo", "MemTotal", "0 kB").split()[0])
    return Host(
        name=platform.node(),
        cpu_model=_first_value("/proc/cpuinfo", "model name", platform.machine()),
        logical_cores=os.cpu_count() or 1,
        usable_cores=len(os.sched_getaffinity(0)),
        memory_bytes=memory_kib * 1024,
        kernel=f"{platform.system()} {platform.release()}",
    )


def _first_value(path: str, key: str, missing: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return missing
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), missing)


@cache
def versions() -> dict[str, str]:
    """Versions of `PACKAGES` as installed, of TileDB's core library, and of CPython."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    found["CPython"] = platform.python_version()
    try:
        import tiledbsoma

        found["TileDB core"] = ".".join(map(str, tiledbsoma.pytiledbsoma.tiledb_version()))
    except (ImportError, AttributeError):
        pass
    return found


@cache
def commit() -> str | None:
    """Commit of the checkout this package lies in, with `+` if files differ from it; None outside a checkout."""
    here = Path(__file__).resolve().parent
    git = ["git", "-C", str(here)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "--", "."], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed.stdout.strip() else "")


def provenance() -> Provenance:
    """Gather all of it, now."""
    return Provenance(
        host=host(),
        python=platform.python_version(),
        versions=versions(),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit(),
    )
