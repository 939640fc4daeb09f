"""One run over time: resident memory of every process on top of each other, and the heaps of its capture."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from somaray.records import Execution, Phase
from somaray.report.figures.style import (
    INK,
    MUTED,
    PAGE_INCHES,
    PALETTE,
    bytes_unit,
    footnote,
    label,
    new_figure,
    say,
    styled,
)
from somaray.report.figures.time_axis import align, end_of

MOST_MOMENTS = 400
"""Moments of a figure; between two of them the largest value stands for all, so that no peak is lost."""

SHADE: Any = {"color": MUTED, "alpha": 0.13, "lw": 0, "zorder": 0}
"""How every other phase is shaded."""

MOST_PROCESSES = 8
"""Processes with a band of their own; those of least memory beyond are one."""


def memory_over_time(
    execution: Execution,
    memory: pd.DataFrame | None,
    tasks: pd.DataFrame | None,
    heap: pd.DataFrame | None,
    capture: Execution | None = None,
) -> Figure:
    """Draw summed PSS by process with the phases shaded and the starts of chunk reads below; under it, the captured heaps.

    Both share the axis of time. The heaps have a scale of their own: they are requests, seen in another execution, `capture`,
    and can be a hundred times what was ever resident.
    """
    with styled():
        figure = new_figure(PAGE_INCHES, 4.2)
        upper, lower = figure.subplots(2, 1, height_ratios=(3, 1.3), sharex=True)
        lower.set(xlabel="seconds since the run began")
        _heaps(lower, heap, (() if capture is None else capture.phases), execution.phases)
        _resident(upper, execution, memory, tasks)
        for phase in execution.phases[::2]:
            lower.axvspan(phase.start_seconds, phase.end_seconds, **SHADE)
        end_seconds = end_of(execution, memory, tasks)
        if end_seconds is not None:
            lower.set_xlim(0, end_seconds)
        what = "profiled execution" if execution.replicate is None else f"timing {execution.replicate}, unprofiled"
        footnote(
            figure,
            f"Above: {what}; ticks are starts of chunk reads. "
            "Below: requests, not RAM, of the capture, fitted to the same phases.",
        )
        align(figure)
    return figure


def in_phases_of(seconds: np.ndarray, own: Sequence[Phase], others: Sequence[Phase]) -> np.ndarray:
    """Bring moments of one execution to where they would be in another: as far through the same phase.

    Parameters
    ----------
    seconds
        Moments of the first, increasing.
    own, others
        Its phases and the other's; those that are alike from the first on count, what comes after the last of them or before
        the first keeps its distance to it.
    """
    knots, targets = [0.0], [0.0]
    for mine, other in zip(own, others, strict=False):
        if mine.name != other.name:
            break
        knots.append(max(mine.end_seconds, knots[-1]))
        targets.append(max(other.end_seconds, targets[-1]))
    inside = np.interp(seconds, knots, targets)
    return inside + np.minimum(seconds, 0.0) + np.maximum(seconds - knots[-1], 0.0)


def by_process(memory: pd.DataFrame, most_moments: int = MOST_MOMENTS) -> pd.DataFrame:
    """Turn samples into a table of PSS bytes: a row a moment (seconds), a column a process, thinned to the largest sums."""
    size = memory["pss_bytes"].fillna(memory["rss_bytes"])
    table = memory.assign(size=size).pivot_table(index="seconds", columns="process", values="size", aggfunc="sum")
    table = table.fillna(0).astype(float).sort_index()
    if len(table) > most_moments:
        groups = np.arange(len(table)) * most_moments // len(table)
        largest = table.sum(axis=1).groupby(groups).idxmax()
        table = table.loc[largest]
    order = sorted(table.columns, key=_order)
    named = [name for name in order if not name.startswith("other")]
    kept = sorted(named, key=lambda name: -table[name].max())[:MOST_PROCESSES]
    bands = table[[name for name in order if name in kept]].copy()
    others = table.drop(columns=bands.columns)
    if len(others.columns):
        bands["other processes"] = others.sum(axis=1)
    return bands


def _order(name: str) -> tuple[bool, list[int], str]:
    # The driver at the bottom, then workers by number.
    return name != "driver", [int(number) for number in re.findall(r"\d+", name)], name


def _resident(axes: Axes, execution: Execution, memory: pd.DataFrame | None, tasks: pd.DataFrame | None) -> None:
    """Draw the bands, the phases behind them by name, and the starts of chunk reads."""
    if memory is None:
        say(axes, "no memory was sampled")
        return
    bands = by_process(memory)
    unit, name = bytes_unit(float(bands.sum(axis=1).max()))
    axes.stackplot(
        bands.index.to_numpy(),
        (bands / unit).to_numpy().T,
        labels=[label(column, 24) for column in bands.columns],
        colors=[PALETTE[index % len(PALETTE)] for index in range(len(bands.columns))],
        alpha=0.85,
        lw=0,
    )
    top = float((bands.sum(axis=1) / unit).max()) * 1.22
    axes.set(ylim=(0, top), ylabel=f"PSS ({name})")
    _shade(axes, execution.phases, end_of(execution, memory, tasks), top)
    if tasks is not None:
        starts = tasks.loc[tasks["chunk_read"] & (tasks["action"] == "compute"), "start_seconds"]
        axes.plot(starts, np.zeros(len(starts)), ls="", marker="|", color=INK, ms=7, mew=0.7, clip_on=False)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=5, borderaxespad=0)


def _shade(axes: Axes, phases: Sequence[Phase], end_seconds: float | None, top: float) -> None:
    """Shade every other phase and name those wide enough for their name."""
    for index, phase in enumerate(phases):
        if index % 2 == 0:
            axes.axvspan(phase.start_seconds, phase.end_seconds, **SHADE)
        width = (phase.end_seconds - phase.start_seconds) / (end_seconds or 1.0)
        if width > 0.012 * len(phase.name) + 0.01:
            axes.text(phase.start_seconds, top * 0.985, f" {phase.name}", va="top", fontsize=6.5, color=MUTED)


def _heaps(axes: Axes, heap: pd.DataFrame | None, own: Sequence[Phase], others: Sequence[Phase]) -> None:
    if heap is None:
        # The axis of time stays: it is that of the memory above, too.
        axes.set(yticks=[])
        axes.text(0.5, 0.5, "no heap was captured", ha="center", va="center", transform=axes.transAxes, color=MUTED)
        return
    unit, name = bytes_unit(float(heap["heap_bytes"].max()))
    for index, process in enumerate(sorted(heap["process"].unique(), key=_order)[:MOST_PROCESSES]):
        part = heap[heap["process"] == process].sort_values("seconds")
        text = re.sub(r"^(worker-\d+)-\d+$", r"\1", process)
        moments = in_phases_of(part["seconds"].to_numpy(float), own, others)
        colour = PALETTE[index % len(PALETTE)]
        axes.plot(moments, part["heap_bytes"] / unit, color=colour, lw=1, label=label(text, 24))
    axes.set(ylim=(0, None), ylabel=f"heap ({name})")
