"""memray in the driver and in every worker, and each process's own account of itself at its end.

`distributed.diagnostics.memray` loses workers when one of several dies and blocks for half a minute; here each process
writes to a file of its own, readable even when it is killed, and says with an empty `.ok` file that it came to an end.
"""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

from distributed import Client, Worker
from distributed.diagnostics.plugin import WorkerPlugin

from somaray.measure.process_tree import sample
from somaray.measure.timeline import Moment, moments
from somaray.measure.vfs import NOT_COUNTED, VfsCounts, count_vfs, release_contexts
from somaray.settings import LOCAL, SLURM, ProfileSettings

PROCESSES = "processes"
"""Folder of the work directory where every process leaves its account, `HOST-PID.json`."""

SAMPLES = "samples"
"""Folder of the work directory where samplers beside workers elsewhere write, `HOST-PID.jsonl`."""

OUTCOME = "outcome.json"
"""File of the work directory in which the measured program says how it ended."""

type Lives = Literal["here", "elsewhere", "there before"]

PLUGIN = "somaray"
"""Name of the plugin of workers."""

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


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


def account(
    work_dir: str | Path,
    name: str,
    role: str,
    capture: str | None,
    vfs: VfsCounts = NOT_COUNTED,
    lives: Lives = "here",
) -> None:
    """Write what this process is and has used: first at its start, then at its end, for figures exact to the end.

    The first account is kept beside the last, so that what starting Python and importing took can be left out. `vfs` is what
    TileDB read, known at the end. `lives` says whether a worker is below the driver, and if not, whether it was there before.
    """
    folder = Path(work_dir) / PROCESSES
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{socket.gethostname()}-{os.getpid()}.json"
    now = sample(os.getpid())
    own = {
        "name": name,
        "role": role,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "capture": capture,
        "lives": lives,
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

    name = PLUGIN

    def __init__(self, work_dir: str, capture_dir: str | None, profile: ProfileSettings | None, cluster: str) -> None:
        self._work_dir = work_dir
        self._lives: Lives = "here" if cluster == LOCAL else "elsewhere" if cluster == SLURM else "there before"
        self._capture_dir = capture_dir
        self._profile = profile
        self._driver = (socket.gethostname(), os.getpid())
        self._tracker: AbstractContextManager[None] = nullcontext()
        self._sampler: subprocess.Popen[bytes] | None = None

    def setup(self, worker: Worker) -> None:
        """Start tracking in a worker process, whether there at the start or come later."""
        if (socket.gethostname(), os.getpid()) == self._driver:
            return
        self._name = process_name(worker.name)
        self._capture = None
        if self._profile is not None and self._capture_dir is not None:
            self._capture = f"{self._name}-{os.getpid()}.bin"
            self._tracker = track(Path(self._capture_dir) / self._capture, self._profile)
        self._vfs_before = count_vfs()
        self._account()
        if self._lives != "here":
            self._sampler = start_sampler(self._work_dir)
        self._tracker.__enter__()

    def teardown(self, worker: Worker) -> None:
        """Stop tracking and write the final account."""
        if (socket.gethostname(), os.getpid()) == self._driver:
            return
        self._tracker.__exit__(None, None, None)
        self._account(count_vfs().since(self._vfs_before))
        if self._lives == "there before":
            release_contexts()
        if self._sampler is not None:
            self._sampler.kill()
            self._sampler.wait()

    def _account(self, vfs: VfsCounts = NOT_COUNTED) -> None:
        account(self._work_dir, self._name, "worker", self._capture, vfs, self._lives)


def process_name(worker_name: object) -> str:
    """What a worker is called in records and files; one that nobody named has its address for a name."""
    return "worker-" + re.sub(r"[^\w.]+", "-", str(worker_name))


def start_sampler(work_dir: str | Path) -> "subprocess.Popen[bytes]":
    """Start a sampler of this process and what descends from it, which ends with it."""
    folder = Path(work_dir) / SAMPLES
    folder.mkdir(exist_ok=True)
    path = folder / f"{socket.gethostname()}-{os.getpid()}.jsonl"
    python_path = os.pathsep.join(filter(None, [_PACKAGE_ROOT, os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-m", "somaray.measure.sampler", "--tree", str(os.getpid()), "--path", str(path)],
        env={**os.environ, "PYTHONPATH": python_path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def read_samples(work_dir: str | Path, epoch_seconds: float) -> list[list[Moment]]:
    """Read what samplers beside workers elsewhere wrote, on this host's monotonic clock.

    Parameters
    ----------
    epoch_seconds
        Seconds since the epoch at that clock's 0. Hosts' clocks are taken to agree, as NTP sees to, within milliseconds.
    """
    paths = sorted((Path(work_dir) / SAMPLES).glob("*.jsonl"))
    read = [list(moments(path.read_text().splitlines())) for path in paths]
    return [[(at_seconds - epoch_seconds, seen) for at_seconds, seen in each] for each in read if each]


@contextmanager
def watched_workers(
    client: Client, work_dir: str, capture_dir: str | None, profile: ProfileSettings | None, cluster: str
) -> Iterator[None]:
    """Have every worker of `client` watched while the body runs.

    The plugin is taken out before the cluster closes: closing gives a teardown about four seconds, taking out waits for it.
    """
    client.register_plugin(ProcessPlugin(work_dir, capture_dir, profile, cluster))
    try:
        yield
    finally:
        client.unregister_worker_plugin(PLUGIN)
