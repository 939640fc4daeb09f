"""What every Dask thread did and when, as Dask's dashboard shows it: a lane a thread, a colour a kind of task."""

import re

import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from somaray.records import Execution
from somaray.report.figures.style import MUTED, PAGE_INCHES, PALETTE, footnote, label, new_figure, say, styled
from somaray.report.figures.time_axis import align, end_of

TRANSFER = "#d55e00"
"""Colour of moving data between workers, as red on Dask's dashboard."""

MOST_KINDS = 6
MOST_BARS = 1500
MOST_LANES = 32
"""So many threads have a lane; of more the first are shown, and how many there are."""

KIND_COLOURS = tuple(colour for colour in PALETTE if colour != TRANSFER)


def kinds(tasks: pd.DataFrame) -> pd.Series:
    """Name the kind of each stretch: reading a chunk, a task by name (the busiest ones), other tasks, or not computing."""
    kind = tasks["task"].where(~tasks["chunk_read"], "read a chunk")
    kind = kind.where(tasks["action"] == "compute", tasks["action"])
    seconds = (tasks["stop_seconds"] - tasks["start_seconds"]).groupby(kind).sum().sort_values(ascending=False)
    return kind.where(kind.isin(seconds.index[:MOST_KINDS]), "other tasks")


def lanes(tasks: pd.DataFrame) -> pd.Series:
    """Number each stretch's lane: workers by number, their threads within."""
    keys = list(zip(tasks["worker"], tasks["thread"], strict=True))
    ordered = sorted(set(keys), key=lambda key: ([int(number) for number in re.findall(r"\d+", key[0])], key))
    return pd.Series([ordered.index(key) for key in keys], index=tasks.index)


def merged(tasks: pd.DataFrame, gap_seconds: float) -> pd.DataFrame:
    """Merge neighbouring stretches of one lane and kind that are less than `gap_seconds` apart.

    Returns
    -------
    `lane`, `kind`, `start_seconds`, `stop_seconds`.
    """
    rows = pd.DataFrame({"lane": lanes(tasks), "kind": kinds(tasks)})
    rows[["start_seconds", "stop_seconds"]] = tasks[["start_seconds", "stop_seconds"]]
    rows = rows.sort_values(["lane", "kind", "start_seconds"], ignore_index=True)
    reach = rows.groupby(["lane", "kind"])["stop_seconds"].cummax()
    same = (rows["lane"] == rows["lane"].shift()) & (rows["kind"] == rows["kind"].shift())
    apart = ~(same & (rows["start_seconds"] - reach.shift() < gap_seconds))
    found = rows.groupby(apart.cumsum()).agg(
        {"lane": "first", "kind": "first", "start_seconds": "min", "stop_seconds": "max"}
    )
    return found.reset_index(drop=True)


def task_stream(execution: Execution, tasks: pd.DataFrame | None, memory: pd.DataFrame | None = None) -> Figure:
    """Draw the stream; stretches too close to be told apart are drawn as one.

    Time runs as in the figure of memory, whose samples `memory` are.
    """
    with styled():
        if tasks is None:
            figure = new_figure(PAGE_INCHES, 1.2)
            say(figure.add_subplot(), "no task was recorded")
            return figure
        end_seconds = end_of(execution, memory, tasks) or 1.0
        gap_seconds = 0.0
        bars = merged(tasks, gap_seconds)
        while len(bars) > MOST_BARS:
            gap_seconds = max(gap_seconds * 2, end_seconds / 4000)
            bars = merged(tasks, gap_seconds)
        n_threads = int(bars["lane"].max()) + 1
        shown = min(n_threads, MOST_LANES)
        figure = new_figure(PAGE_INCHES, 1.25 + 0.17 * shown)
        axes = figure.add_subplot()
        names = kind_colours(bars)
        for kind, colour in names.items():
            own = bars[bars["kind"] == kind]
            axes.add_collection(PolyCollection(list(boxes(own)), facecolor=colour, edgecolor="none"))
        titles = [f"{worker} · {thread}" for worker, thread in threads(tasks)]
        axes.set_yticks(range(shown), [label(title, 19) for title in titles[:shown]])
        axes.set(xlim=(0, end_seconds), ylim=(shown - 0.4, -0.6), xlabel="seconds since the run began")
        axes.grid(visible=False, axis="y")
        figure.legend(
            handles=[Patch(color=colour, label=label(kind, 34)) for kind, colour in names.items()],
            loc="outside upper left",
            ncols=4,
        )
        run_seconds = end_of(execution, None, tasks) or 1.0
        busy = (bars["stop_seconds"] - bars["start_seconds"]).sum() / (n_threads * run_seconds)
        more = f" {n_threads - shown} more threads are left out." if n_threads > shown else ""
        footnote(figure, f"Threads were busy {100 * busy:.0f} % of the run's time.{more}")
        align(figure)
    return figure


def threads(tasks: pd.DataFrame) -> list[tuple[str, int]]:
    """Worker and number of the thread of each lane."""
    first = tasks.assign(lane=lanes(tasks)).drop_duplicates("lane").sort_values("lane")
    return list(zip(first["worker"], first["thread"], strict=True))


def kind_colours(bars: pd.DataFrame) -> dict[str, str]:
    """Chunk reads first, other kinds by name; data on the move always in the same colour."""
    names = sorted(set(bars["kind"]), key=lambda kind: (kind != "read a chunk", kind == "other tasks", kind))
    free = iter(KIND_COLOURS)
    return {
        kind: TRANSFER
        if kind == "transfer"
        else MUTED + "99"
        if kind == "other tasks"
        else next(free, KIND_COLOURS[-1])
        for kind in names
    }


def boxes(bars: pd.DataFrame) -> np.ndarray:
    """Corners of each stretch in its lane: stretches × 4 × 2, seconds and lanes."""
    low, high = bars["lane"].to_numpy() - 0.4, bars["lane"].to_numpy() + 0.4
    start, stop = bars["start_seconds"].to_numpy(), bars["stop_seconds"].to_numpy()
    return np.stack(
        [np.stack([start, low], 1), np.stack([start, high], 1), np.stack([stop, high], 1), np.stack([stop, low], 1)], 1
    )
