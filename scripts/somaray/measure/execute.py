"""The measured program: one run, from its cluster to its table of genes, in a process tree of its own.

Started by the supervisor as `python -m somaray.measure.execute job.json`. Everything it says goes into files of the work
directory (events, processes' accounts, outcome), so that they are there however it ends.
"""

import importlib
import json
import sys
import traceback
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from somaray.cluster import open_client
from somaray.cluster_elsewhere import open_address
from somaray.cluster_slurm import open_slurm
from somaray.datasets.storage_errors import explain_s3, plain_message
from somaray.errors import SomarayError, Unsupported
from somaray.matrix import Run
from somaray.measure.captures import OUTCOME, account, track, watched_workers
from somaray.measure.clock import EVENTS, Clock
from somaray.measure.job import Job, worker_jobs
from somaray.measure.scheduler_side import watched_scheduler
from somaray.measure.vfs import CountedSource, count_vfs
from somaray.records import Manifest, read_record
from somaray.settings import LOCAL, SLURM
from somaray.units import Parallelism, parse_parallelism

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

DRIVER_CAPTURE = "driver.bin"


def write_outcome(work_dir: Path, status: str, reason: str) -> None:
    """Say how it ended; without this file it was killed."""
    temporary = work_dir / (OUTCOME + ".part")
    temporary.write_text(json.dumps({"status": status, "reason": reason}))
    temporary.replace(work_dir / OUTCOME)


def write_hvg(path: str | Path, table: "pd.DataFrame") -> None:
    """Write a method's table of genes, whole or not at all, its index as the column `var_id`."""
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    table.rename_axis(index="var_id").reset_index().to_parquet(temporary, index=False)
    temporary.replace(path)


def open_cluster(job: Job, parallelism: Parallelism) -> AbstractContextManager["Client"]:
    """The cluster of a run, where its settings have its workers."""
    work_dir = Path(job.work_dir)
    if job.dask.cluster == LOCAL:
        return open_client(parallelism, job.dask, work_dir / "dask")
    if job.dask.cluster == SLURM:
        return open_slurm(parallelism, job.dask, work_dir, job.environment, worker_jobs(work_dir))
    return open_address(parallelism, job.dask, work_dir)


def execute(job: Job) -> None:
    """Run the job's method once; profiled if the job has a profile."""
    work_dir = Path(job.work_dir)
    if job.unsupported:
        raise Unsupported(job.unsupported)
    # Imports are no part of a run: they cost seconds and hundreds of MiB that no setting changes.
    module = importlib.import_module(job.module)
    parallelism = None if job.parallelism is None else parse_parallelism(job.parallelism)
    run = Run(job.dataset, job.method, job.chunk_size, parallelism, job.variant)
    source = CountedSource.from_manifest(
        read_record(job.manifest, Manifest),
        job.tiledb,
        None if parallelism is None else parallelism.tile_threads,
        job.obs_columns,
        job.var_columns,
        job.export,
    )
    clock = Clock(work_dir / EVENTS)
    capture = None if job.capture_dir is None else DRIVER_CAPTURE
    account(work_dir, "driver", "driver", capture)
    tracker: AbstractContextManager[None] = nullcontext()
    if job.profile is not None and job.capture_dir is not None:
        tracker = track(Path(job.capture_dir) / DRIVER_CAPTURE, job.profile)
    with tracker, ExitStack() as stack:
        client = None
        if parallelism is not None:
            with clock.phase("cluster"):
                client = stack.enter_context(open_cluster(job, parallelism))
                # Before the workers: elsewhere it sees to it that they are left as they were, whatever becomes of this process.
                stack.enter_context(watched_scheduler(client, clock, work_dir, job.module))
                stack.enter_context(
                    watched_workers(client, job.work_dir, job.capture_dir, job.profile, job.dask.cluster)
                )
        table = module.compute_hvg(source, run, job.hvg, client, clock.phase)
        # Now, while the threads that read in this process still hold what they read with.
        vfs = count_vfs()
    # The run ends here: what writing its result takes is not part of it, nor of the capture.
    account(work_dir, "driver", "driver", capture, vfs)
    clock.event("end")
    write_hvg(job.hvg_path, table)


def main(job_path: str) -> int:
    """Run a job and write its outcome; the exit code says whether it went well."""
    job = read_record(job_path, Job)
    work_dir = Path(job.work_dir)
    try:
        execute(job)
    except Unsupported as error:
        write_outcome(work_dir, "unsupported", str(error))
    except MemoryError as error:
        traceback.print_exc()
        write_outcome(work_dir, "out of memory", f"an allocation was refused: {error}".rstrip(": "))
    except Exception as error:
        if not isinstance(error, SomarayError):
            traceback.print_exc()
        lost = lost_worker(error)
        write_outcome(work_dir, "worker lost" if lost else "failed", one_line(lost or error, job))
    else:
        write_outcome(work_dir, "ok", "")
        return 0
    return 1


def lost_worker(error: BaseException | None) -> BaseException | None:
    """The loss of a worker that an exception is, or came after: closing the cluster of a worker just lost may fail too."""
    while error is not None and type(error).__name__ != "KilledWorker":
        error = error.__cause__ or error.__context__
    return error


def one_line(error: BaseException, job: Job, most_characters: int = 300) -> str:
    """An exception as one line for a table; of storage that failed, what that means."""
    if isinstance(error, SomarayError):
        text = str(error)
    else:
        manifest = read_record(job.manifest, Manifest)
        explained = explain_s3(error, {**manifest.tiledb, **job.tiledb})
        text = f"{manifest.uri}: {explained}" if explained else f"{type(error).__name__}: {plain_message(error)}"
    text = " ".join(text.split())
    return text if len(text) <= most_characters else text[: most_characters - 1] + "…"


def _main(arguments: list[str]) -> Any:
    if len(arguments) != 1:
        raise SystemExit("usage: python -m somaray.measure.execute job.json")
    return main(arguments[0])


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
