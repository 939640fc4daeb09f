"""What a page tells of one run."""

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from somaray.allocations.places import Links
from somaray.matrix import Run
from somaray.records import Execution, Place, ProcessAllocations, ProcessRecord
from somaray.report.allocation_list import NO_STACK
from somaray.report.allocations_document import together
from somaray.report.details import RunDetail
from somaray.report.figures.names import run_figures
from somaray.report.html.inline_svg import inline_svg
from somaray.report.html.values import (
    Cell,
    bytes_cell,
    bytes_text,
    number_cell,
    seconds_text,
    speed_text,
    spread_text,
    text_cell,
)
from somaray.report.rows import Spread
from somaray.units import format_bytes, significant

type ReadFigure = Callable[[str], str | None]
"""From a figure's path below `results/plots` to its SVG; None where it is not there."""

TITLES = {
    "memory": "Memory over time: resident memory of every process, phases, chunk reads, and the heaps of the capture",
    "tasks": "Task stream: what every Dask thread did and when",
    "groups": "Allocations by kind of work: in all, held at the heap's peak, resident then",
}

MOST_PLACES = 12


def anchor(run: Run) -> str:
    """Name a run in addresses: readable, safe, short, and its own."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", run.path).strip("-")[:60]
    return f"run-{readable}-{hashlib.sha256(run.path.encode()).hexdigest()[:8]}"


def run_context(
    detail: RunDetail, read_figure: ReadFigure, root: str, config_files: Sequence[str], replay: bool = False
) -> dict[str, Any]:
    """Everything the template of a run needs.

    Parameters
    ----------
    root
        From the page to the folder of results, `""` or `"../"`.
    config_files
        What the workflow was configured with, for the command that runs this again.
    replay
        Whether the run has a replay.
    """
    run, row, shown = detail.run, detail.row, detail.shown
    return {
        "anchor": anchor(run),
        "run": run,
        "row": row,
        "facts": _facts(detail),
        "figures": list(_figures(detail, read_figure)),
        "shown": "the capture" if shown.replicate is None else f"timing {shown.replicate}",
        "phases": [
            [
                text_cell(phase.name),
                number_cell(phase.start_seconds, significant(phase.start_seconds, 3) + " s"),
                number_cell(seconds := phase.end_seconds - phase.start_seconds, significant(seconds, 3) + " s"),
            ]
            for phase in shown.phases
        ],
        "processes": [_process(process) for process in shown.processes],
        "sides": list(_sides(detail)),
        "flame_graphs": _flame_graphs(detail, root),
        "replay": root + quote(f"hvg/{run.path}/replay.mp4") if replay else "",
        "folder": root + quote(f"hvg/{run.path}/"),
        "environment": _environment(shown),
        "command": command(detail, config_files),
    }


def _facts(detail: RunDetail) -> list[tuple[str, str]]:
    row = detail.row
    memory = row.peak_pss_bytes
    gib = Spread(
        *(None if value is None else value / 2**30 for value in (memory.median, memory.minimum, memory.maximum))
    )
    facts = [
        ("Time, all phases (s)", spread_text(row.wall_seconds)),
        ("HVG alone (s)", spread_text(row.hvg_seconds)),
        ("Cells a second", speed_text(row.cells_per_second)),
        ("Peak summed PSS (GiB)", spread_text(gib)),
        ("Largest worker, VmHWM", bytes_text(row.largest_worker_rss_bytes.median)),
        ("Driver, VmHWM", bytes_text(row.driver_rss_bytes.median)),
        ("Driver's heap peak (requests)", bytes_text(row.driver_heap_peak_bytes)),
        ("CPU time", seconds_text(row.cpu_seconds.median)),
        ("Read in all", bytes_text(row.read_bytes.median)),
        ("Of it from disk", bytes_text(row.disk_read_bytes.median)),
        ("Agrees with the reference", row.agreement),
        ("Replicates that ended well", str(row.replicates)),
    ]
    if row.chunk_reads is not None and row.n_obs and row.run.chunk_size:
        chunks = -(-row.n_obs // row.run.chunk_size)
        facts.append(("Reads of each chunk", significant(row.chunk_reads / chunks, 2)))
    if row.retried:
        facts.append(("Measured again", row.retried))
    return facts


def _figures(detail: RunDetail, read_figure: ReadFigure) -> Iterable[tuple[str, str, Markup]]:
    for name in run_figures(detail.run):
        svg = read_figure(f"hvg/{detail.run.path}/{name}.svg")
        if svg is not None:
            title = f"{TITLES[name]}. {detail.run.path}"
            yield name, TITLES[name], inline_svg(svg, f"{anchor(detail.run)}-{name}", title)


def _process(process: ProcessRecord) -> list[Cell]:
    return [
        text_cell(process.name),
        bytes_cell(process.peak_rss_bytes),
        bytes_cell(process.peak_pss_bytes),
        number_cell(process.cpu_seconds, significant(process.cpu_seconds, 3)),
        bytes_cell(process.read_bytes),
        bytes_cell(process.disk_read_bytes),
    ]


def _sides(detail: RunDetail) -> Iterable[tuple[str, str, list[list[Cell]]]]:
    """Driver and workers: a title, a remark, and the top places."""
    if detail.allocations is None:
        return
    links = Links(detail.allocations.versions)
    for process in detail.allocations.processes:
        if process.role != "worker":
            yield process.name, remark(process), _places(process.places, links)
    workers = [process for process in detail.allocations.processes if process.role == "worker"]
    if workers:
        remarks = "; ".join(dict.fromkeys(filter(None, map(remark, workers))))
        count = f"{len(workers)} workers, summed" if len(workers) > 1 else "worker"
        yield count, remarks, _places(together(process.places for process in workers), links)


def remark(process: ProcessAllocations) -> str:
    """Say what is amiss with a capture; empty if nothing is."""
    amiss = "" if process.capture_status == "complete" else f"capture {process.capture_status}"
    return ": ".join(filter(None, [amiss, process.note])) or process.residency_note


def _places(places: Iterable[Place], links: Links) -> list[list[Cell]]:
    """The places that are among the largest by any of the three numbers, the largest held first."""
    places = list(places)
    chosen: dict[int, Place] = {}
    for number in ("held_bytes", "total_bytes", "resident_bytes"):
        ranked = sorted(places, key=lambda place: getattr(place, number) or 0, reverse=True)
        for place in ranked[: MOST_PLACES // 2]:
            if getattr(place, number):
                chosen[id(place)] = place
    ordered = sorted(chosen.values(), key=lambda place: -(place.held_bytes or 0))
    return [_place(place, links) for place in ordered]


def _place(place: Place, links: Links) -> list[Cell]:
    if place.file is None:
        where = text_cell(NO_STACK)
    else:
        where = text_cell(f"{place.file}:{place.line}" if place.line else place.file, links.url(place) or "")
    sizes = [place.total_bytes, place.held_bytes, place.resident_bytes]
    return [where, text_cell(place.function or ""), *map(bytes_cell, sizes)]


def _flame_graphs(detail: RunDetail, root: str) -> list[tuple[str, str]]:
    """Process and address of each flame graph that can be expected: one a readable capture."""
    if detail.allocations is None:
        return []
    folder = PurePosixPath("hvg") / detail.run.path / "flamegraph"
    return [
        (process.name, root + quote(f"{folder}/{PurePosixPath(process.capture).stem}.html"))
        for process in detail.allocations.processes
        if process.capture_status != "unreadable"
    ]


def _environment(execution: Execution) -> list[tuple[str, str]]:
    host = execution.provenance.host
    limits = execution.limits
    settings = {**execution.tiledb, **{f"dask {name}": value for name, value in execution.dask.config.items()}}
    versions = sorted(execution.provenance.versions.items())
    pairs = [
        (
            "Host",
            f"{host.name}: {host.cpu_model}, {host.usable_cores} of {host.logical_cores} cores, "
            f"{format_bytes(host.memory_bytes)}, {host.kernel}",
        ),
        ("Measured", execution.provenance.made_at),
        ("Commit", execution.provenance.commit or ""),
        ("Memory budget", "" if limits.memory_bytes is None else format_bytes(limits.memory_bytes)),
        ("TileDB, Dask settings", ", ".join(f"{name} = {value}" for name, value in settings.items())),
        ("Environment", ", ".join(f"{name}={value}" for name, value in execution.environment.items())),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions)),
    ]
    return [(name, text) for name, text in pairs if text]


def command(detail: RunDetail, config_files: Sequence[str]) -> str:
    """The command that measures a run again, its capture and its timings."""
    names = ["capture.json", *(f"timing/{timing.replicate}.json" for timing in detail.timings)]
    targets = [f"results/hvg/{detail.run.path}/{name}" for name in names]
    given = ["--configfile", *config_files] if config_files else []
    words = ["uv", "run", "snakemake", "--cores", "all", *given, "--force", *targets]
    return shlex.join(words)
