"""From a run of the settings to its executions, captures and timings, each with its files."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import msgspec

from somaray.agreement import empty_hvg
from somaray.batch import current_job, end
from somaray.beginnings import beginning_path, larger_job, left_behind, may_be_larger
from somaray.config import AUTO_MEMORY_BYTES, Settings
from somaray.errors import SomarayError
from somaray.failures import note_failure
from somaray.matrix import Run
from somaray.measure.execute import write_hvg
from somaray.measure.job import Job
from somaray.measure.lost import lost_execution, noted
from somaray.measure.supervise import OVER_ALL_HOSTS, Order, supervise
from somaray.records import Execution, Manifest, read_record, write_record
from somaray.registry import METHODS
from somaray.settings import LOCAL, SLURM
from somaray.submission import MIB, within_allocation, worker_job


@dataclass(frozen=True)
class Outputs:
    """Files an execution leaves; `capture_dir` only if it is profiled, `tasks` not of a reference.

    `native` is for the capture with native traces, whose files are in a folder of their own.
    """

    record: Path
    hvg: Path
    memory: Path
    capture_dir: Path | None = None
    tasks: Path | None = None
    native: bool = False

    @property
    def execution(self) -> str:
        """`capture`, `native`, or `timing-N`."""
        if self.native:
            return "native"
        return self.record.stem if self.capture_dir else f"timing-{self.record.stem}"

    @property
    def run_dir(self) -> Path:
        """Directory of the run."""
        in_a_folder = self.native or not self.capture_dir
        return self.record.parent.parent if in_a_folder else self.record.parent


def measure(
    settings: Settings,
    run: Run,
    manifest: Path,
    replicate: int | None,
    attempt: int,
    outputs: Outputs,
    log: TextIO,
    export: Path | None = None,
    tries: int = 1,
    retries: int = 0,
    allocated_mib: int | None = None,
) -> None:
    """Run one execution and write its files, whether it goes well or not.

    Parameters
    ----------
    replicate
        Number of the timing, from 1; None for a capture.
    attempt
        Failures of this execution before, plus 1.
    export
        AnnData file of the dataset, for a method that reads one.
    tries
        How often this invocation has started it, this time included: a second time if its job came to no end of its own.
    retries
        How often the invocation may start it again at all.
    allocated_mib
        Memory of the batch job this runs in.

    Raises
    ------
    SomarayError
        If it ended for want of its job's memory and a larger job is to follow; no file is written then but the note of it.
    """
    order = order_of(settings, run, manifest, replicate, attempt, outputs, export)
    order = dataclasses.replace(order, limits=within_allocation(order.limits, allocated_mib))
    outputs.hvg.parent.mkdir(parents=True, exist_ok=True)
    note = beginning_path(outputs.run_dir, outputs.execution)
    left = left_behind(note)
    retried = larger_job(left, tries, retries)
    if retried is not None:
        given_bytes = (allocated_mib or 0) * MIB
        # Where the site gives no more it would end the same.
        larger = given_bytes > retried.memory_bytes
        retried = msgspec.structs.replace(retried, retried_memory_bytes=given_bytes) if larger else None
    if left is not None and tries > 1 and retried is None:
        execution = lost_execution(order, left, log, tries, retries)
    else:
        if left is not None and left.job not in (None, current_job()) and end(left.job):
            print(f"ended {left.job}, left by an earlier invocation", file=log)
        with noted(note, allocated_mib, retried) as under_way:
            execution = supervise(order, log, under_way.saw if allocated_mib else None)
            own_limit = settings.limits.memory_bytes
            too_small = allocated_mib is not None and (own_limit is None or order.limits.memory_bytes != own_limit)
            too_small = too_small and not execution.reason.endswith(OVER_ALL_HOSTS)
            if execution.status == "out of memory" and too_small and may_be_larger(tries, retries):
                under_way.left_to_a_larger_job(execution.reason)
                ended = f"{order.title} | {execution.status_text} in a job of {allocated_mib:,} MiB"
                raise SomarayError(f"{ended}, a larger one is to measure it again")
        execution = msgspec.structs.replace(execution, retried=retried)
    if execution.status != "ok":
        # The tables need the record; downstream rules need the file. No rows say that there is no result.
        write_hvg(outputs.hvg, empty_hvg())
    if execution.status not in ("ok", "unsupported"):
        note_failure(outputs.run_dir, outputs.execution)
    write_record(outputs.record, execution)
    note.unlink(missing_ok=True)


def order_of(
    settings: Settings,
    run: Run,
    manifest: Path,
    replicate: int | None,
    attempt: int,
    outputs: Outputs,
    export: Path | None = None,
) -> Order:
    """One execution of a run, ready to be supervised; parameters as those of `measure`."""
    job, own_limit = job_of(settings, run, manifest, outputs, export), settings.limits.memory_bytes
    return Order(
        job=job,
        limits=settings.limits,
        replicate=replicate,
        attempt=attempt,
        memory_path=outputs.memory,
        tasks_path=outputs.tasks,
        title=_title(settings, run, replicate, native=outputs.native),
        n_chunks=None if run.chunk_size is None else -(-read_record(manifest, Manifest).n_obs // run.chunk_size),
        expected_seconds=_expected_seconds(outputs.run_dir),
        # `auto` is what this host has, and says nothing of others.
        all_hosts_bytes=None if job.dask.cluster == LOCAL or own_limit == AUTO_MEMORY_BYTES else own_limit,
    )


def job_of(settings: Settings, run: Run, manifest: Path, outputs: Outputs, export: Path | None = None) -> Job:
    """All that the measured program needs to know; parameters as those of `measure`."""
    own = settings.of(run)
    dask = own.dask
    if dask.cluster == SLURM:
        # results/datasets/NAME/manifest.json
        dask = msgspec.structs.replace(dask, slurm=worker_job(settings, run, manifest.absolute().parents[2]))
    profile = msgspec.structs.replace(settings.profile, native_traces=outputs.native)
    method, flavor = METHODS[run.method], settings.hvg.flavor
    able = flavor in method.flavors
    return Job(
        dataset=run.dataset,
        method=run.method,
        module=method.module,
        chunk_size=run.chunk_size,
        parallelism=None if run.parallelism is None else str(run.parallelism),
        variant=run.variant,
        manifest=str(manifest.absolute()),
        hvg=settings.hvg,
        tiledb=own.tiledb,
        dask=dask,
        environment=own.environment,
        obs_columns=own.obs_columns,
        var_columns=own.var_columns,
        profile=profile if outputs.capture_dir else None,
        work_dir="",
        capture_dir=str(outputs.capture_dir.absolute()) if outputs.capture_dir else None,
        hvg_path=str(outputs.hvg.absolute()),
        export=None if export is None else str(export.absolute()),
        unsupported="" if able else f"flavor {flavor}: {run.method} knows {', '.join(method.flavors)} alone",
    )


def _title(settings: Settings, run: Run, replicate: int | None, *, native: bool) -> str:
    position = settings.runs.index(run) + 1
    part = f"timing {replicate} of {settings.replicates}"
    if replicate is None:
        part = "native capture" if native else "capture"
    return f"[run {position} of {len(settings.runs)}] {run.path} {part}"


def _expected_seconds(run_dir: Path) -> float | None:
    """What an earlier execution of the same run took, the latest timing first, then the capture."""
    for path in [*sorted(run_dir.glob("timing/*.json"), reverse=True), run_dir / "capture.json"]:
        if path.exists():
            known = read_record(path, Execution).wall_seconds
            if known is not None:
                return known
    return None
