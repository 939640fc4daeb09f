"""What rules of findings are shown, and what they find in it."""

from typing import Any

from somaray.dask_work import DaskWork
from somaray.records import Manifest, Place, ProcessAllocations
from somaray.report.findings import Finding, Records, find
from somaray.settings import ProfileSettings
from support.made_records import MIB, execution, manifest

GIB = 1024 * MIB
OBS = "tiledbsoma/_read_iters.py"


def place(held_bytes: int, resident_bytes: int | None, file: str = OBS, line: int = 551) -> Place:
    return Place(
        file=file,
        function="f",
        line=line,
        package="tiledbsoma",
        total_bytes=held_bytes,
        held_bytes=held_bytes,
        alive_bytes=None if resident_bytes is None else held_bytes,
        resident_bytes=resident_bytes,
    )


def held_by(name: str, *places: Place, heap_peak_bytes: int = 45 * GIB, **changes: Any) -> ProcessAllocations:
    fields: dict[str, Any] = {
        "name": name,
        "role": name.partition("-")[0],
        "pid": 1,
        "capture": f"{name}.bin",
        "capture_status": "complete",
        "total_bytes": heap_peak_bytes,
        "n_allocations": 1,
        "heap_peak_bytes": heap_peak_bytes,
        "heap_peak_seconds": 1.0,
        "rss_at_heap_peak_bytes": 300 * MIB,
        "places": places,
    }
    return ProcessAllocations(**{**fields, **changes})


def work(**changes: Any) -> DaskWork:
    fields: dict[str, Any] = {
        "n_graphs": 3,
        "graph_bytes": 1000,
        "n_tasks": 40,
        "task_bytes": 500,
        "compute_seconds": 14.0,
        "n_pauses": 0,
        "paused_seconds": 0.0,
        "spilled_bytes": 0,
    }
    return DaskWork(**{**fields, **changes})


def captured(wall_seconds: float = 10.0, **changes: Any):
    return execution(wall_seconds, None, profile=ProfileSettings(), **changes)


def found(
    *, manifests: tuple[Manifest, ...] = (manifest(),), captures=(), timings=(), held=(), rule: str = ""
) -> Finding | None:
    findings = [each for each in find(Records(manifests, captures, timings, held)) if each.rule == rule]
    assert len(findings) <= 1
    return findings[0] if findings else None


def quiet(**changes: Any):
    """An execution in which nothing is worth a finding: every chunk is read once, by as many threads as there are cores."""
    return execution(**{"chunk_reads": 10, "dask_work": work(), **changes})
