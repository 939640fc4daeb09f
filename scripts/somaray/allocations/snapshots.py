"""Snapshots of a captured process: which pages the kernel had given it at one moment, and how far its capture was then.

They lie beside the capture, in `CAPTURE.pages/`: one `N.npz` for each snapshot kept, and `summary.json`.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

SUMMARY = "summary.json"

ANONYMOUS, FILE, STACK, CAPTURE_WINDOW = range(4)
"""What a run of pages belongs to: memory of no file, a mapped file, the main thread's stack, memray's capture file."""

N_KINDS = 4


class SnapshotSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How many snapshots were taken (few are kept), how long they paused the process in all, or why there are none."""

    n_snapshots: int
    paused_seconds: float
    refusal: str = ""


@dataclass(frozen=True)
class Snapshot:
    """One moment of a process that stood still.

    Attributes
    ----------
    at_seconds
        Since the epoch, as memray writes its own times.
    capture_bytes
        Of the capture file, those that were written by then: a reader of no more sees what was allocated until then.
    rss_bytes
        Resident set size, summed by the kernel over the page tables.
    virtual_bytes
        Virtual size.
    starts, ends
        Runs of present pages, in bytes: sorted, disjoint, none across two mappings. Pages of zeros that were only read, which
        all processes share, are left out where the kernel tells them apart.
    kinds
        Of each run: `ANONYMOUS`, `FILE`, `STACK` or `CAPTURE_WINDOW`.
    """

    at_seconds: float
    capture_bytes: int
    rss_bytes: int
    virtual_bytes: int
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]

    def write(self, path: Path) -> None:
        """Write `N.npz`, whole or not at all."""
        temporary = path.with_suffix(".part")
        with temporary.open("wb") as stream:
            np.savez(stream, **{field.name: getattr(self, field.name) for field in fields(self)})
        temporary.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Snapshot":
        """Read what `write` wrote."""
        with np.load(path) as stored:
            return cls(**{name: stored[name] if stored[name].ndim else stored[name].item() for name in stored.files})


def pages_dir(capture: Path) -> Path:
    """Folder of a capture's snapshots."""
    return capture.with_name(capture.name + ".pages")


def write_summary(folder: Path, summary: SnapshotSummary) -> None:
    """Write or replace the summary."""
    temporary = folder / (SUMMARY + ".part")
    temporary.write_bytes(msgspec.json.encode(summary))
    temporary.replace(folder / SUMMARY)


def read_summary(folder: Path) -> SnapshotSummary | None:
    """The summary; None if the watcher never saw the process."""
    try:
        return msgspec.json.decode((folder / SUMMARY).read_bytes(), type=SnapshotSummary)
    except OSError:
        return None


def read_snapshots(folder: Path) -> list[Snapshot]:
    """All snapshots kept, the earliest first."""
    return [Snapshot.read(path) for path in sorted(folder.glob("*.npz"), key=lambda path: int(path.stem))]
