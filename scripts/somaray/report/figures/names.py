"""Which figures a matrix has, and under which names. Pure, and quick to import: the rules ask for it."""

from collections.abc import Iterable, Sequence

from somaray.matrix import Run

AXES = {
    "processes": "Dask processes",
    "threads": "Dask threads in each process",
    "tile_threads": "TileDB threads",
    "chunk_size": "cells a chunk",
}
"""Axes of the matrix that are numbers, and how a figure calls them."""

HEAT_MAPS = ("time", "memory", "speed")

TRADE_OFF = "time_memory"


def position(run: Run, axis: str) -> int | None:
    """Where a run lies on an axis; None where that means nothing to it."""
    if axis == "chunk_size":
        return run.chunk_size
    return None if run.parallelism is None else int(getattr(run.parallelism, axis))


def rest(run: Run, axis: str) -> tuple[object, ...]:
    """All else that a run is."""
    others = [position(run, other) for other in AXES if other != axis]
    return (run.dataset, run.method, getattr(run, "variant", ""), *others)


def series(runs: Iterable[Run], axis: str) -> dict[tuple[object, ...], list[Run]]:
    """Group runs that differ along an axis alone, in its order; runs that have no such neighbour are left out."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.sort_key):
        if position(run, axis) is not None:
            groups.setdefault(rest(run, axis), []).append(run)
    for group in groups.values():
        group.sort(key=lambda run: position(run, axis) or 0)
    return {key: group for key, group in groups.items() if len(group) > 1}


def axes_that_vary(runs: Sequence[Run]) -> list[str]:
    """Name the axes along which there is something to compare."""
    return [axis for axis in AXES if series(runs, axis)]


def matrix_figures(runs: Sequence[Run]) -> list[str]:
    """Name the figures of the whole matrix, without their ending."""
    return [*HEAT_MAPS, TRADE_OFF, *(f"scaling_{axis}" for axis in axes_that_vary(runs))]


def run_figures(run: Run) -> list[str]:
    """Name the figures of one run; only what has workers has a task stream."""
    return ["memory", *(["tasks"] if run.parallelism else []), "groups"]


def figure_files(runs: Sequence[Run]) -> list[str]:
    """All files below `results/plots`, in a fixed order."""
    own = [f"hvg/{run.path}/{name}.svg" for run in runs for name in run_figures(run)]
    return [f"{name}.svg" for name in matrix_figures(runs)] + own
