"""From what was observed of an execution to its record."""

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from somaray.credentials import names_credential
from somaray.dask_work import DaskWork
from somaray.measure.captures import OUTCOME, complete_marker, read_accounts, read_samples
from somaray.measure.dask_watch import DASK_EVENT
from somaray.measure.job import Job
from somaray.measure.process_tree import Process, ProcessSample
from somaray.measure.task_stream import epoch_at_zero, write_task_stream
from somaray.measure.timeline import Peaks, Timeline
from somaray.provenance import provenance
from somaray.records import Execution, Manifest, Phase, ProcessRecord, read_record
from somaray.settings import Limits

_RECORDED_ENVIRONMENT = ("_NUM_THREADS", "ARROW_", "MALLOC_", "DASK_", "NUMBA_", "OPENBLAS_")
"""Parts of names of environment variables that change what is measured. They are kept unless named like a credential, and those
that the run's settings name; others may hold secrets."""


@dataclass(frozen=True)
class Observed:
    """What the supervisor saw: why it stopped the program (if it did), its exit code, samples, events, work directory."""

    stopped: tuple[str, str] | None
    exit_code: int
    timeline: Timeline
    events: list[dict[str, Any]]
    work_dir: Path


class _Usage(NamedTuple):
    cpu_seconds: float
    read_bytes: int | None
    disk_read_bytes: int | None


def assemble(
    replicate: int | None,
    attempt: int,
    job: Job,
    limits: Limits,
    observed: Observed,
    environment: dict[str, str],
    memory_path: Path,
    tasks_path: Path | None,
) -> Execution:
    """Join events, accounts and samples into the record, and write the memory timeline and the task stream."""
    status, reason = outcome(observed)
    phases, zero_seconds = phases_of(observed.events)
    accounts = read_accounts(observed.work_dir)
    # The event is written before the result is, which is not part of the run.
    timeline = observed.timeline.beside(read_samples(observed.work_dir, epoch_at_zero()))
    timeline = timeline.until(next((e["at_seconds"] for e in observed.events if e["event"] == "end"), None))
    timeline.write(memory_path, zero_seconds, {_process(own): own for own in accounts})
    if tasks_path is not None:
        write_task_stream(observed.work_dir, tasks_path, zero_seconds)
    processes = process_records(accounts, timeline, job.capture_dir)
    counted = [process for process in processes if process.role != "other"]
    manifest = read_record(job.manifest, Manifest)
    peak_pss_bytes, peak_at = timeline.peak_pss()
    return Execution(
        dataset=job.dataset,
        method=job.method,
        chunk_size=job.chunk_size,
        parallelism=job.parallelism,
        variant=job.variant,
        replicate=replicate,
        attempt=attempt,
        status=status,
        reason=reason,
        n_obs=manifest.n_obs,
        n_vars=manifest.n_vars,
        wall_seconds=phases[-1].end_seconds if status == "ok" and phases else None,
        cpu_seconds=sum(process.cpu_seconds for process in counted),
        phases=phases,
        peak_pss_bytes=peak_pss_bytes,
        peak_pss_seconds=None if peak_at is None else peak_at - zero_seconds,
        read_bytes=_sum([process.read_bytes for process in counted]),
        vfs_reads=_sum_of_all([process.vfs_reads for process in counted]),
        vfs_read_bytes=_sum_of_all([process.vfs_read_bytes for process in counted]),
        disk_read_bytes=_sum([process.disk_read_bytes for process in counted]),
        processes=processes,
        chunk_reads=next((e["chunk_reads"] for e in reversed(observed.events) if e["event"] == "tasks"), None),
        limits=limits,
        hvg=job.hvg,
        tiledb=job.tiledb,
        dask=job.dask,
        obs_columns=job.obs_columns,
        var_columns=job.var_columns,
        profile=job.profile,
        environment={
            name: value
            for name, value in sorted(environment.items())
            if name in job.environment
            or (any(part in name for part in _RECORDED_ENVIRONMENT) and not names_credential(name))
        },
        provenance=provenance(),
        dask_work=dask_work_of(observed.events),
    )


def outcome(observed: Observed) -> tuple[Any, str]:
    """Say how it ended: stopped by us, by its own word, or by a signal from elsewhere."""
    if observed.stopped is not None:
        return observed.stopped
    path = observed.work_dir / OUTCOME
    if path.exists():
        told = json.loads(path.read_text())
        return told["status"], told["reason"]
    if observed.exit_code < 0:
        hint = ", as the kernel sends when memory runs out" if observed.exit_code == -signal.SIGKILL else ""
        return "killed", f"signal {-observed.exit_code} from outside{hint}"
    return "failed", f"exit code {observed.exit_code}, see the log"


def phases_of(events: list[dict[str, Any]]) -> tuple[tuple[Phase, ...], float]:
    """Pair begin and end events into phases, and give the moment of the first begin on the monotonic clock.

    A phase without an end (the program was killed in it) is left out.
    """
    zero_seconds = next((event["at_seconds"] for event in events if event["event"] == "phase_begin"), 0.0)
    begun: dict[str, float] = {}
    phases = []
    for event in events:
        if event["event"] == "phase_begin":
            begun[event["name"]] = event["at_seconds"]
        elif event["event"] == "phase_end":
            start_seconds = begun.pop(event["name"]) - zero_seconds
            end_seconds = event["at_seconds"] - zero_seconds
            phases.append(Phase(name=event["name"], start_seconds=start_seconds, end_seconds=end_seconds))
    return tuple(phases), zero_seconds


def dask_work_of(events: list[dict[str, Any]]) -> DaskWork | None:
    """What Dask's scheduler told at the end; None if it came to no word."""
    told = next((event for event in events if event["event"] == DASK_EVENT), None)
    if told is None:
        return None
    return DaskWork(**{name: told[name] for name in DaskWork.__struct_fields__})


def process_records(
    accounts: list[dict[str, Any]], timeline: Timeline, capture_dir: str | None
) -> tuple[ProcessRecord, ...]:
    """One record a process: by its own account where it gave one, else from the samples alone."""
    last, peaks = timeline.last(), timeline.peaks()
    records = [
        _record(own, ProcessSample(*own["end"]) if own["end"] else last.get(_process(own)), peaks, capture_dir)
        for own in accounts
    ]
    known = {_process(own) for own in accounts}
    for process, sample in sorted(last.items()):
        if process not in known:
            host, pid = process
            own = {"name": f"other-{pid}", "role": "other", "pid": pid, "capture": None, "start": None, "end": None}
            own |= {"host": host, "lives": "here", "vfs_reads": None, "vfs_read_bytes": None}
            records.append(_record(own, sample, peaks, capture_dir))
    return tuple(records)


def _process(own: dict[str, Any]) -> Process:
    return own["host"], own["pid"]


def _peak_rss_bytes(own: dict[str, Any], start: ProcessSample | None, end: ProcessSample | None, sampled: Peaks) -> int:
    """The kernel's high-water mark, unless it was set before the run and not passed in it; then the largest sample."""
    if end is None:
        return 0
    if own["lives"] == "there before" and start is not None and end.peak_rss_bytes == start.peak_rss_bytes:
        return max(sampled.rss_bytes or 0, start.rss_bytes, end.rss_bytes)
    return end.peak_rss_bytes


def _record(
    own: dict[str, Any], end: ProcessSample | None, peaks: dict[Process, Peaks], capture_dir: str | None
) -> ProcessRecord:
    sampled = peaks.get(_process(own), Peaks())
    start = ProcessSample(*own["start"]) if own["start"] else None
    end = end or start
    used = _usage(start, end)
    capture_status: Literal["complete", "partial"] | None = None
    if own["capture"] is not None and capture_dir is not None:
        marker = complete_marker(Path(capture_dir) / own["capture"])
        capture_status = "complete" if marker.exists() else "partial"
    return ProcessRecord(
        name=own["name"],
        role=own["role"],
        pid=own["pid"],
        host=own["host"],
        peak_rss_bytes=_peak_rss_bytes(own, start, end, sampled),
        peak_pss_bytes=sampled.pss_bytes,
        cpu_seconds=used.cpu_seconds,
        read_bytes=used.read_bytes,
        disk_read_bytes=used.disk_read_bytes,
        vfs_reads=own["vfs_reads"],
        vfs_read_bytes=own["vfs_read_bytes"],
        capture=own["capture"],
        capture_status=capture_status,
        sampled_rss_bytes=sampled.rss_bytes,
    )


def _usage(start: ProcessSample | None, end: ProcessSample | None) -> _Usage:
    """What a process used between two samples; all of it if its start was not seen."""
    if end is None:
        return _Usage(0.0, None, None)
    if start is None:
        return _Usage(end.cpu_seconds, end.read_bytes, end.disk_read_bytes)
    pairs = [(end.read_bytes, start.read_bytes), (end.disk_read_bytes, start.disk_read_bytes)]
    read, disk = (None if late is None or early is None else late - early for late, early in pairs)
    return _Usage(end.cpu_seconds - start.cpu_seconds, read, disk)


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sum_of_all(values: list[int | None]) -> int | None:
    """A sum that claims nothing where a part of it is unknown, as after a worker was lost, or where none was counted."""
    known = [value for value in values if value is not None]
    return sum(known) or None if len(known) == len(values) else None
