"""Start one execution as a process tree of its own, watch it, hold it to its budgets, and end whatever is left of it."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import msgspec
from filelock import FileLock, Timeout

from somaray.batch import cancel_named, current_job
from somaray.cluster import library_thread_environment
from somaray.measure.assemble import Observed, assemble
from somaray.measure.budget import resolve_limits
from somaray.measure.clock import AFAR_EVENTS, EVENTS, EventReader
from somaray.measure.job import Job, worker_jobs
from somaray.measure.job_memory import JobWatch
from somaray.measure.memory_afar import MemoryAfar
from somaray.measure.process_tree import end_session
from somaray.measure.progress import Progress
from somaray.measure.standstill import continue_session
from somaray.measure.timeline import Timeline
from somaray.records import Execution, write_record
from somaray.settings import LOCAL, SLURM, Limits
from somaray.units import format_bytes, format_seconds

_REPORT_INTERVAL_SECONDS = 5.0
_POLL_SECONDS = 0.05
OVER_ALL_HOSTS = "over all hosts"
"""Ends the reason of an execution that was stopped for the memory of workers elsewhere: a larger job would not mend it."""
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Order:
    """One execution to supervise.

    `job.work_dir` is filled in here; `memory_path` takes the memory timeline, `tasks_path` the task stream, `title` opens
    every progress line, and `expected_seconds` is what an earlier execution of the same run took. `limits` hold for the
    processes of this host, `all_hosts_bytes` for those and workers elsewhere together.
    """

    job: Job
    limits: Limits
    replicate: int | None
    attempt: int
    memory_path: Path
    title: str
    tasks_path: Path | None = None
    n_chunks: int | None = None
    expected_seconds: float | None = None
    environment: Mapping[str, str] | None = None
    all_hosts_bytes: int | None = None


class Console:
    """Writes progress to the console and to the rule's log."""

    def __init__(self, log: TextIO) -> None:
        self._log = log

    def say(self, line: str) -> None:
        """Write one line to both."""
        print(line, file=sys.stderr, flush=True)
        print(time.strftime("%H:%M:%S"), line, file=self._log, flush=True)


def lock_path() -> Path:
    """File that is locked while something is measured on this host.

    In a batch job it is not in `TMPDIR`, which schedulers like to make a folder of the job; and it is the user's own, since
    what other users' jobs do beside is the scheduler's affair. `SOMARAY_LOCK_DIR` names another folder, where a job sees a
    `/tmp` of its own.
    """
    folder = os.environ.get("SOMARAY_LOCK_DIR")
    if current_job() is None:
        return Path(folder or tempfile.gettempdir()) / "somaray-measuring.lock"
    return Path(folder or "/tmp") / f"somaray-measuring-{os.getuid()}.lock"


@contextlib.contextmanager
def measuring_alone(console: Console) -> Iterator[None]:
    """Hold the host's one place for a measurement: two beside each other would ruin both, whoever started them."""
    lock = FileLock(lock_path(), mode=0o666)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.say("waiting for another measurement on this host to end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def supervise(order: Order, log: TextIO, saw: Callable[[int], None] | None = None) -> Execution:
    """Run one execution to its end, good or bad, and tell of it.

    Parameters
    ----------
    saw
        Is told the most memory that the batch job it runs in was seen to hold so far, in bytes, again and again.

    Raises
    ------
    OSError
        If the program cannot be started at all. Whatever goes wrong within it is told in the record.
    """
    console = Console(log)
    limits = resolve_limits(order.limits)
    with measuring_alone(console), _work_dir(order) as scratch:
        job = msgspec.structs.replace(order.job, work_dir=scratch)
        if job.capture_dir is not None:
            # What a killed execution left behind must not be read as part of this one.
            shutil.rmtree(job.capture_dir, ignore_errors=True)
            Path(job.capture_dir).mkdir(parents=True)
        write_record(Path(scratch) / "job.json", job)
        environment = child_environment(job, order.environment or {})
        observed = _watch(order, limits, Path(scratch), environment, console, log, saw)
        execution = assemble(
            order.replicate, order.attempt, job, limits, observed, environment, order.memory_path, order.tasks_path
        )
    seconds = "" if execution.wall_seconds is None else f" | {format_seconds(execution.wall_seconds)}"
    peak = "" if execution.peak_pss_bytes is None else f" | peak {format_bytes(execution.peak_pss_bytes)}"
    console.say(f"{order.title} | {execution.status_text}{seconds}{peak}")
    return execution


@contextlib.contextmanager
def _work_dir(order: Order) -> Iterator[str]:
    """Make the folder in which processes leave what they have to say: among the results where some live on other hosts."""
    if order.job.dask.cluster == LOCAL:
        with tempfile.TemporaryDirectory(prefix="somaray-") as scratch:
            yield scratch
        return
    folder, prefix = order.memory_path.absolute().parent, f".{order.memory_path.stem}-"
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    scratch = tempfile.mkdtemp(prefix=prefix, dir=folder)
    try:
        yield scratch
    finally:
        # What a worker that ends late still writes shall not be in the way.
        shutil.rmtree(scratch, ignore_errors=True)


def _end_worker_jobs(job: Job, scratch: Path, log: TextIO) -> None:
    """Cancel jobs of workers that their driver could not, and keep what the jobs said."""
    if job.dask.cluster != SLURM:
        return
    cancel_named(worker_jobs(scratch))
    for said in sorted(scratch.glob("*.err")):
        print(f"{said.name}:\n{said.read_text(errors='replace')}", file=log)


def child_environment(job: Job, extra: Mapping[str, str]) -> dict[str, str]:
    """Environment of the measured program: its run's variables, pinned library threads, and this package importable.

    Dask's workers inherit it, so that a variable is there before any library is loaded in them too.
    """
    path = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]))
    own = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **library_thread_environment(job.dask)}
    return {**os.environ, **own, **job.environment, **extra}


def _watch(
    order: Order,
    limits: Limits,
    scratch: Path,
    environment: dict[str, str],
    console: Console,
    log: TextIO,
    saw: Callable[[int], None] | None,
) -> Observed:
    driver = subprocess.Popen(
        [sys.executable, "-m", "somaray.measure.execute", str(scratch / "job.json")],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    # If the kernel must choose whom to end, it shall be the measured program, never Snakemake or the user's shell.
    with contextlib.suppress(OSError):
        Path(f"/proc/{driver.pid}/oom_score_adj").write_text("800")
    beside = {**os.environ, "PYTHONPATH": environment["PYTHONPATH"]}
    sampler = subprocess.Popen(
        _sampler_command(driver.pid),
        env=beside,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    # A capture with native traces tells of symbols alone.
    watched = order.job.profile is not None and not order.job.profile.native_traces
    watching = _watch_pages(driver.pid, order.job.capture_dir if watched else None, scratch, beside, log)
    assert sampler.stdout is not None
    timeline = Timeline()
    reader = threading.Thread(target=timeline.read, args=(sampler.stdout,), daemon=True)
    reader.start()
    events = EventReader(scratch / EVENTS, scratch / AFAR_EVENTS)
    try:
        watch = None if saw is None else JobWatch(driver.pid, timeline, saw)
        afar = MemoryAfar(scratch)
        stopped, seen = _until_end(driver, order, limits, timeline, afar, events, console, watch)
    finally:
        end_session(driver.pid)
        exit_code = driver.wait()
        _end_worker_jobs(order.job, scratch, log)
        sampler.wait()
        watching.join()
        reader.join()
        sampler.stdout.close()
    return Observed(stopped, exit_code, timeline, [*seen, *events.new()], scratch)


def _watch_pages(
    session: int, capture_dir: str | None, scratch: Path, environment: dict[str, str], log: TextIO
) -> threading.Thread:
    """Start the watcher of pages if there is a capture, and a thread that waits for its end."""

    def watch() -> None:
        if capture_dir is not None:
            where = ["--session", str(session), "--work-dir", str(scratch), "--capture-dir", capture_dir]
            subprocess.run(
                [sys.executable, "-m", "somaray.measure.page_watcher", *where],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=False,
            )
            # If it died while a process stood still, nobody else would let that one go on.
            continue_session(session)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    return watching


def _sampler_command(session: int) -> list[str]:
    return [sys.executable, "-m", "somaray.measure.sampler", "--session", str(session)]


def _until_end(
    driver: "subprocess.Popen[bytes]",
    order: Order,
    limits: Limits,
    timeline: Timeline,
    afar: MemoryAfar,
    events: EventReader,
    console: Console,
    watch: JobWatch | None,
) -> tuple[tuple[str, str] | None, list[dict[str, object]]]:
    """Wait for the driver; return why it was stopped, if it was, as status and reason, and the events seen."""
    elsewhere = order.job.dask.cluster != LOCAL
    progress = Progress(order.title, order.n_chunks, order.expected_seconds)
    seen: list[dict[str, object]] = []
    began = reported = time.monotonic()
    while driver.poll() is None:
        time.sleep(_POLL_SECONDS)
        now = time.monotonic()
        if watch is not None:
            watch.look(now)
        if elsewhere:
            afar.look(timeline.summed_bytes)
        new = events.new()
        seen += new
        worth_telling = sum(progress.take(event) for event in new)
        if worth_telling or now - reported > _REPORT_INTERVAL_SECONDS:
            resident_bytes = timeline.summed_bytes + afar.summed_bytes
            console.say(progress.line(now, f"{format_bytes(resident_bytes)} resident"))
            reported = now
        if limits.memory_bytes is not None and timeline.most_bytes > limits.memory_bytes:
            reason = f"{format_bytes(timeline.most_bytes)} of {format_bytes(limits.memory_bytes)}"
            return ("out of memory", reason), seen
        if order.all_hosts_bytes is not None and afar.most_bytes > order.all_hosts_bytes:
            reason = f"{format_bytes(afar.most_bytes)} of {format_bytes(order.all_hosts_bytes)} {OVER_ALL_HOSTS}"
            return ("out of memory", reason), seen
        if limits.time_seconds is not None and now - began > limits.time_seconds:
            return ("out of time", f"stopped after {format_seconds(limits.time_seconds)} in {progress.phase}"), seen
    return None, seen
