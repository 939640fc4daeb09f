"""Where, when and with what something was made: host, versions, commit."""

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import psutil

from somaray.records import Host, Provenance

PACKAGES = (
    "tiledbsoma",
    "somacore",
    "tiledb",
    "scanpy",
    "anndata",
    "dask",
    "distributed",
    "cloudpickle",
    "msgpack",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "numba",
    "h5py",
    "zarr",
    "fast-array-utils",
    "memray",
    "snakemake",
    "somaray",
)
"""Packages whose code a run can meet; their versions say which source a place in a capture is linked to."""

CORE = "tiledb-core"
"""Name in the versions of the TileDB library that TileDB-SOMA was built with."""


@cache
def host() -> Host:
    """Describe this machine."""
    return Host(
        name=platform.node(),
        cpu_model=_cpu_model(),
        logical_cores=os.cpu_count() or 1,
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
    )


@cache
def versions() -> dict[str, str]:
    """Give the version of each of `PACKAGES` that is installed, of the TileDB library and of CPython."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if "tiledbsoma" in found:
        import tiledbsoma

        found[CORE] = tiledbsoma.get_libtiledbsoma_core_version()
    found["CPython"] = platform.python_version()
    return found


def provenance() -> Provenance:
    """Describe here and now."""
    return Provenance(
        host=host(),
        python=platform.python_version(),
        versions=versions(),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=_commit(),
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


@cache
def _commit() -> str | None:
    """Commit of the checkout this package lies in, with a `+` if its files differ from it; None outside one."""
    here = Path(__file__).resolve().parent
    try:
        top = Path(_git(here, "rev-parse", "--show-toplevel"))
        # An installed copy inside somebody else's checkout is not of that checkout.
        if not here.is_relative_to(top / "scripts"):
            return None
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
        return _git(here, "rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()
