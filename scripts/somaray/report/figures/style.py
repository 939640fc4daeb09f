"""How figures look, and how they become the same SVG every time."""

import io
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1b1f24", "#59636e", "#d8dee4", "#fefefe"
"""Colours of text and lines, lesser text, the grid and the ground. The report replaces them by its own for dark pages, so
nothing else is drawn in them."""

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8c8c8c")
"""Okabe and Ito's colours, told apart whatever the kind of colour blindness (their black is the ink's)."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

COLUMN_INCHES, PAGE_INCHES = 3.5, 7.2
"""Widths of one and of two columns of a journal."""

STYLE: Any = {
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8.5,
    "axes.titlecolor": INK,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 8,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "text.color": INK,
    # A `$` in a dataset's name is a dollar.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    # Text stays text: searchable, read aloud, and small.
    "svg.fonttype": "none",
    "svg.hashsalt": "somaray",
}


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """Make an empty figure; what is drawn on it must be drawn within `styled`."""
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def styled() -> AbstractContextManager[None]:
    """Give the context in which all drawing is done."""
    return matplotlib.rc_context(STYLE)


def svg(figure: Figure) -> str:
    """Write a figure as SVG: the same figure, the same bytes."""
    stream = io.StringIO()
    with styled():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": "somaray"})
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def label(text: object, most_characters: int = 40) -> str:
    """Make any text fit to be drawn: one line, printable, not too long."""
    line = " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())
    return line if len(line) <= most_characters else line[: most_characters - 1] + "…"


def colours(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Give every name a colour and a marker, in the names' own order whatever the order they come in."""
    ordered = sorted(set(names))
    return {name: (PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(ordered)}


def say(axes: Axes, text: str) -> None:
    """Say on empty axes why there is nothing to see."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, label(text, 120), ha="center", va="center", transform=axes.transAxes, color=MUTED)


def footnote(figure: Figure, text: str) -> None:
    """Put a line below everything."""
    figure.supxlabel(text, fontsize=6.5, color=MUTED, x=0.01, ha="left")


def bytes_unit(largest_bytes: float) -> tuple[float, str]:
    """Choose the unit in which an axis up to `largest_bytes` is read easily: its size in bytes, and its name."""
    return (2.0**30, "GiB") if largest_bytes >= 2**30 else (2.0**20, "MiB")
