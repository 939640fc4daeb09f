"""A capture read in a process of its own, since memray's reader is native code that can crash on a damaged file: both sides."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from somaray.errors import SomarayError

ALL_SAMPLES = 10**9
"""By default memray keeps every n-th of its samples of resident memory, and the one at the peak may be lost."""

ALL_PLACES = 2**31 - 1


def read_in_child(path: Path, program: Sequence[str]) -> tuple[bytes, str]:
    """Have a module of this package read a capture as a program, and give what it writes.

    Parameters
    ----------
    program
        Module and arguments before the capture's path.

    Returns
    -------
    tuple
        Its output, and where it stopped short of the file's end if it did, as it may where the process was killed.

    Raises
    ------
    SomarayError
        If the file is missing, empty, not a memray capture, or damaged.
    """
    if not path.is_file():
        raise SomarayError(f"{path}: {'not a file' if path.exists() else 'no such file'}, expected a memray capture")
    if path.stat().st_size == 0:
        raise SomarayError(
            f"{path}: empty; its process ended before memray wrote anything (aggregated captures do that)"
        )
    child = subprocess.run([sys.executable, "-m", *program, str(path)], capture_output=True, check=False)
    complaints = [line for line in child.stderr.decode(errors="replace").splitlines() if line.strip()]
    last = complaints[-1].removeprefix("Memray ERROR: ") if complaints else ""
    if child.returncode < 0:
        raise SomarayError(f"{path}: damaged; memray's reader crashed on it (signal {-child.returncode})")
    if child.returncode:
        raise SomarayError(f"{path}: not a memray capture that can be read: {last}")
    # A file cut short ends inside a record; a record of no known type cannot come from that.
    if any("Invalid record type" in line for line in complaints):
        raise SomarayError(f"{path}: damaged; memray found a record of an unknown type in it")
    return child.stdout, f"reading stopped early: {last}" if last.startswith("Failed to") else ""


def answer(read: Callable[[str], Any], path: str) -> int:
    """In the child: read, write the answer as MessagePack, or the error on one line; the exit code says which."""
    try:
        found = read(path)
    except (OSError, ValueError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.msgpack.encode(found))
    return 0
