"""The axis of time that the figures of one run share, so that what stands below each other happened at once."""

import pandas as pd
from matplotlib.figure import Figure

from somaray.records import Execution

LEFT, RIGHT = 0.16, 0.985
"""Where time begins and ends, as shares of a figure's width: some 19 characters fit before it."""


def end_of(execution: Execution, memory: pd.DataFrame | None, tasks: pd.DataFrame | None) -> float | None:
    """When an execution ends in its figures, seconds: with the last thing known of it; None where nothing is."""
    ends = [] if execution.wall_seconds is None else [execution.wall_seconds]
    ends += [] if memory is None else [float(memory["seconds"].max())]
    ends += [] if tasks is None else [float(tasks["stop_seconds"].max())]
    return max(ends, default=None)


def align(figure: Figure) -> None:
    """Let time begin and end at the same places whatever is written before it. Nothing may be drawn afterwards."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        place = axes.get_position()
        axes.set_position((LEFT, place.y0, RIGHT - LEFT, place.height))
