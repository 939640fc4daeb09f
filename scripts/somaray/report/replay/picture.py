"""The two still pictures of a clip: everything that stands from the start, and everything as it is in the end.

A frame is made of both, so that matplotlib draws twice whatever the number of frames. Places are in pixels from the left and
from the top, and panels begin and end at whole ones.
"""

from dataclasses import dataclass
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from somaray.report.figures.style import INK, MUTED, PALETTE, STYLE, bytes_unit, label
from somaray.report.figures.task_stream import MOST_LANES, boxes, kind_colours, merged, threads
from somaray.report.replay.course import Course
from somaray.units import format_bytes

WIDTH, HEIGHT, DPI = 1280, 720, 100

LEFT, RIGHT = 150, 1240
TASKS = (188, 384)
PHASES = (404, 428)
MEMORY = (468, 628)
PHASES_ALONE = (164, 192)
MEMORY_ALONE = (236, 628)
"""Where panels lie: columns of all, rows of each; a run without tasks gives its memory all the room."""

READINGS_TOP, READINGS_BOTTOM = 104, 138
READINGS = {
    "run time": 40,
    "phase": 230,
    "memory now": 520,
    "its peak so far": 690,
    "chunks read": 890,
    "threads busy": 1080,
}
"""Rows of the figures that change, and the column at which each begins."""

CLIP_STYLE = {**STYLE, "font.size": 10, "axes.labelsize": 10, "xtick.labelsize": 9, "ytick.labelsize": 9}


class Panel(NamedTuple):
    """Rows of a panel, from its first to behind its last."""

    top: int
    bottom: int


@dataclass(frozen=True)
class Picture:
    """Both stills, and what is needed to go from one to the other.

    Parameters
    ----------
    empty, full
        `HEIGHT` × `WIDTH` × 3, unsigned bytes.
    panels
        Those that fill as time goes by; the last is memory's.
    top_bytes
        Bytes at the upper edge of memory's panel; None where none was sampled.
    """

    empty: np.ndarray
    full: np.ndarray
    panels: tuple[Panel, ...]
    end_seconds: float
    top_bytes: float | None

    def column(self, seconds: float) -> int:
        """Column of a moment."""
        return LEFT + round((RIGHT - LEFT) * min(seconds / self.end_seconds, 1.0))

    def row(self, size_bytes: float) -> int:
        """Row of a number of bytes in memory's panel."""
        assert self.top_bytes is not None
        panel = self.panels[-1]
        return panel.bottom - round((panel.bottom - panel.top) * size_bytes / self.top_bytes)


def picture(course: Course, title: str, subtitle: str) -> Picture:
    """Draw both stills."""
    with matplotlib.rc_context(CLIP_STYLE):
        figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
        _header(figure, course, title, subtitle)
        comes: list[Artist] = []
        with_tasks = course.tasks is not None
        phases, memory = (PHASES, MEMORY) if with_tasks else (PHASES_ALONE, MEMORY_ALONE)
        panels = [Panel(*phases), Panel(*memory)]
        if with_tasks:
            panels.insert(0, Panel(*TASKS))
            comes += _tasks(figure, course)
        comes += _phases(_axes(figure, *phases), course)
        top_bytes, bands = _memory(figure, course, *memory)
        comes += bands
        canvas = FigureCanvasAgg(figure)
        full = _pixels(canvas)
        for artist in comes:
            artist.set_visible(False)
        return Picture(_pixels(canvas), full, tuple(panels), course.end_seconds, top_bytes)


def _pixels(canvas: FigureCanvasAgg) -> np.ndarray:
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _text(figure: Figure, column: float, row: float, text: str, **style: object) -> None:
    figure.text(column / WIDTH, 1 - row / HEIGHT, text, va="center", **style)  # type: ignore[arg-type]


def _header(figure: Figure, course: Course, title: str, subtitle: str) -> None:
    _text(figure, 40, 34, label(title, 78), fontsize=16, fontweight="bold")
    _text(figure, 40, 64, label(subtitle, 140), fontsize=10, color=MUTED)
    for name, column in READINGS.items():
        if course.tasks is not None or column < READINGS["chunks read"]:
            _text(figure, column, 94, name, fontsize=9, color=MUTED)
    budget = course.execution.limits.memory_bytes
    allowed = f"; the run's budget is {format_bytes(budget)}" if budget is not None and budget > 0 else ""
    sampled = (
        f"Memory is PSS, summed over processes{allowed}. Drawn from what was recorded of the run, not from a screen."
    )
    _text(figure, 40, 706, sampled, fontsize=8.5, color=MUTED)


def _axes(figure: Figure, top: int, bottom: int) -> Axes:
    place = (LEFT / WIDTH, 1 - bottom / HEIGHT, (RIGHT - LEFT) / WIDTH, (bottom - top) / HEIGHT)
    return figure.add_axes(place)


def _tasks(figure: Figure, course: Course) -> list[Artist]:
    """Draw the stream, a lane a thread, and give what comes with time; the kinds of tasks are named from the start."""
    assert course.tasks is not None
    axes = _axes(figure, *TASKS)
    # Stretches less than half a column apart cannot be told apart.
    bars = merged(course.tasks, course.end_seconds / (2 * (RIGHT - LEFT)))
    named = [f"{worker} · {thread}" for worker, thread in threads(course.tasks)]
    shown = min(len(named), MOST_LANES)
    drawn: list[Artist] = []
    colours = kind_colours(bars)
    for kind, colour in colours.items():
        shapes = PolyCollection(list(boxes(bars[bars["kind"] == kind])), facecolor=colour, edgecolor="none")
        drawn.append(axes.add_collection(shapes))
    step = -(-shown // 12)
    axes.set_yticks(range(0, shown, step), [label(name, 18) for name in named[:shown:step]])
    axes.set(xlim=(0, course.end_seconds), ylim=(shown - 0.4, -0.6))
    axes.grid(visible=False, axis="y")
    axes.tick_params(labelbottom=False, length=0)
    more = f"; the first {shown} of {len(named)} threads" if len(named) > shown else ""
    _text(figure, LEFT, TASKS[0] - 14, f"Tasks{more}", fontsize=10, fontweight="bold")
    handles = [Patch(color=colour, label=label(kind, 26)) for kind, colour in colours.items()]
    _legend(figure, handles, TASKS[0] - 28)
    return drawn


def _phases(axes: Axes, course: Course) -> list[Artist]:
    """Draw a ribbon of the phases, those wide enough by name."""
    axes.set(xlim=(0, course.end_seconds), ylim=(0, 1), yticks=[0.5], yticklabels=["phase"])
    axes.grid(visible=False)
    axes.tick_params(labelbottom=False, length=0)
    axes.spines[:].set_visible(False)
    drawn: list[Artist] = []
    for index, phase in enumerate(course.execution.phases):
        width = phase.end_seconds - phase.start_seconds
        colour = "#c9d3de" if index % 2 == 0 else "#e6ebf0"
        drawn.append(axes.add_patch(Rectangle((phase.start_seconds, 0), width, 1, facecolor=colour, lw=0)))
        if (RIGHT - LEFT) * width / course.end_seconds > 8 * len(phase.name) + 8:
            middle = phase.start_seconds + width / 2
            drawn.append(axes.text(middle, 0.46, label(phase.name), ha="center", va="center", fontsize=9, color=INK))
    return drawn


def _memory(figure: Figure, course: Course, top: int, bottom: int) -> tuple[float | None, list[Artist]]:
    axes = _axes(figure, top, bottom)
    axes.set_xlabel("seconds since the run began")
    axes.set_xlim(0, course.end_seconds)
    bands = course.bands
    if bands is None:
        axes.set(yticks=[])
        axes.text(0.5, 0.5, "no memory was sampled", ha="center", transform=axes.transAxes, color=MUTED)
        return None, []
    peak_bytes = float(bands.sum(axis=1).max())
    budget_bytes = course.execution.limits.memory_bytes
    near = budget_bytes is not None and peak_bytes < 2 * budget_bytes <= 4 * peak_bytes
    top_bytes = 1.08 * max(peak_bytes, float(budget_bytes) if near and budget_bytes else 0.0, 1.0)
    unit, name = bytes_unit(top_bytes)
    colours = [PALETTE[index % len(PALETTE)] for index in range(len(bands.columns))]
    drawn = axes.stackplot(bands.index.to_numpy(), (bands / unit).to_numpy().T, colors=colours, lw=0)
    axes.set(ylim=(0, top_bytes / unit), ylabel=name)
    _text(figure, LEFT, top - 16, "Memory", fontsize=10, fontweight="bold")
    handles = [
        Patch(color=colour, label=label(column, 22)) for column, colour in zip(bands.columns, colours, strict=True)
    ]
    _legend(figure, handles, top - 28)
    if near and budget_bytes:
        axes.axhline(budget_bytes / unit, color=INK, lw=1, ls=(0, (6, 3)))
        axes.text(0.004 * course.end_seconds, budget_bytes / unit, "budget", va="bottom", fontsize=9, color=INK)
    return top_bytes, list(drawn)


def _legend(figure: Figure, handles: list[Patch], top: int) -> None:
    figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(RIGHT / WIDTH, 1 - top / HEIGHT),
        ncols=len(handles),
        fontsize=9,
        borderaxespad=0,
        borderpad=0.2,
        handlelength=1.0,
        handletextpad=0.4,
        columnspacing=1.2,
    )
