"""memray in the driver and in every worker, and each process's own account of itself at its end.

`distributed.diagnostics.memray` loses workers when one of several dies and blocks for half a minute; here each process
writes to a file of its own, readable even when it is killed, and says with an empty `.ok` file that it came to an end.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from distributed import Client, Worker
from distributed.diagnostics.plugin import WorkerPlugin

from somaray.measure.process_tree import sample
from somaray.measure.vfs import NOT_COUNTED, VfsCounts, count_vfs
from somaray.settings import ProfileSettings

PROCESSES = "processes"
"""Folder of the work directory where every process leaves its account, `PID.json`."""

OUTCOME = "outcome.json"
"""File of the work directory in which the measured program says how it ended."""

_PLUGIN = "somaray"


def complete_marker(capture: Path) -> Path:
    """Path of the file that says a capture is complete."""
    return capture.with_name(capture.name + ".ok")


@contextmanager
def track(capture: Path, profile: ProfileSettings) -> Iterator[None]:
    """Capture every allocation of this process into `capture`, marked complete at the end.

    The format with all allocations, uncompressed, is the only one that can be read after the process was killed.
    """
    import memray

    destination = memray.FileDestination(capture, overwrite=True, compress_on_exit=False)
    with memray.Tracker(
        destination=destination,
        native_traces=profile.native_traces,
        trace_python_allocators=profile.trace_python_allocators,
    ):
        yield
    complete_marker(capture).touch()


def account(work_dir: str | Path, name: str, role: str, capture: str | None, vfs: VfsCounts = NOT_COUNTED) -> None:
    """Write what this process is and has used: first at its start, then at its end, for figures exact to the end.

    The first account is kept beside the last, so that what starting Python and importing took can be left out. `vfs` is what
    TileDB read, known at the end.
    """
    folder = Path(work_dir) / PROCESSES
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}.json"
    now = sample(os.getpid())
    own = {
        "name": name,
        "role": role,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "capture": capture,
        "vfs_reads": vfs.reads,
        "vfs_read_bytes": vfs.read_bytes,
        "start": json.loads(path.read_text())["start"] if path.exists() else now,
        "end": now if path.exists() else None,
    }
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(own))
    temporary.replace(path)


def read_accounts(work_dir: str | Path) -> list[dict[str, Any]]:
    """Read the accounts that processes left, in order of their names."""
    paths = sorted((Path(work_dir) / PROCESSES).glob("*.json"))
    return sorted(
        (json.loads(path.read_text()) for path in paths), key=lambda own: (own["role"], own["name"], own["pid"])
    )


class ProcessPlugin(WorkerPlugin):
    """In every worker process: its account, and its capture if the run is profiled.

    A worker inside the driver's process (threads only) is covered by the driver's own tracker, as memray allows one a process.
    """

    name = _PLUGIN

    def __init__(self, work_dir: str, capture_dir: str | None, profile: ProfileSettings | None) -> None:
        self._work_dir = work_dir
        self._capture_dir = capture_dir
        self._profile = profile
        self._driver = (socket.gethostname(), os.getpid())
        self._tracker: AbstractContextManager[None] = nullcontext()

    def setup(self, worker: Worker) -> None:
        """Start tracking in a worker process, whether there at the start or come later."""
        if (socket.gethostname(), os.getpid()) == self._driver:
            return
        self._name = f"worker-{worker.name}"
        self._capture = None
        if self._profile is not None and self._capture_dir is not None:
            self._capture = f"{self._name}-{os.getpid()}.bin"
            self._tracker = track(Path(self._capture_dir) / self._capture, self._profile)
        account(self._work_dir, self._name, "worker", self._capture)
        self._tracker.__enter__()

    def teardown(self, worker: Worker) -> None:
        """Stop tracking and write the final account."""
        if (socket.gethostname(), os.getpid()) == self._driver:
            return
        self._tracker.__exit__(None, None, None)
        account(self._work_dir, self._name, "worker", self._capture, count_vfs())


@contextmanager
def watched_workers(
    client: Client, work_dir: str, capture_dir: str | None, profile: ProfileSettings | None
) -> Iterator[None]:
    """Have every worker of `client` watched while the body runs.

    The plugin is taken out before the cluster closes: closing gives a teardown about four seconds, taking out waits for it.
    """
    client.register_plugin(ProcessPlugin(work_dir, capture_dir, profile))
    try:
        yield
    finally:
        client.unregister_worker_plugin(_PLUGIN)
