"""Time against memory: every finished run, and the front of those that no other beats in both."""

from collections.abc import Sequence
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from somaray.report.choices import finished, front, memory_of, seconds_of
from somaray.report.figures.style import INK, PAGE_INCHES, colours, footnote, label, new_figure, say, styled
from somaray.report.rows import RunRow


def trade_off(rows: Sequence[RunRow]) -> Figure:
    """Draw a panel a dataset: median time with its range, largest summed PSS, the front as a line with its settings."""
    good = finished(rows)
    datasets = list(dict.fromkeys(row.run.dataset for row in good))
    marks = colours(row.run.method for row in rows if row.origin == "measured")
    with styled():
        across = min(len(datasets), 2) or 1
        down = ceil(len(datasets) / across) or 1
        figure = new_figure(PAGE_INCHES, 0.7 + 2.9 * down)
        if not good:
            say(figure.add_subplot(), "no run finished")
            return figure
        for index, dataset in enumerate(datasets):
            axes = figure.add_subplot(down, across, index + 1)
            axes.set_title(label(dataset, 48))
            _panel(axes, [row for row in good if row.run.dataset == dataset], marks)
        handles = {
            text: line for axes in figure.axes for line, text in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=min(len(handles), 6))
        least = min(row.replicates for row in good)
        most = max(row.replicates for row in good)
        n = str(least) if least == most else f"{least} to {most}"
        footnote(
            figure, f"Median time of n = {n} replicates, bars from the smallest to the largest; memory is the largest."
        )
    return figure


def _panel(axes: Axes, rows: Sequence[RunRow], marks: dict[str, tuple[str, str]]) -> None:
    for method in dict.fromkeys(row.run.method for row in rows):
        own = [row for row in rows if row.run.method == method]
        seconds = [seconds_of(row) for row in own]
        below = [seconds_of(row) - (row.wall_seconds.minimum or 0.0) for row in own]
        above = [(row.wall_seconds.maximum or 0.0) - seconds_of(row) for row in own]
        gib = [memory_of(row) / 2**30 for row in own]
        colour, marker = marks[method]
        axes.errorbar(
            seconds, gib, xerr=(below, above), fmt=marker, color=colour, elinewidth=0.8, label=label(method), zorder=3
        )
    best = front(rows)
    corners = [(seconds_of(row), memory_of(row) / 2**30) for row in best]
    axes.step(*zip(*corners, strict=True), where="post", color=INK, lw=0.9, ls="--", zorder=2, label="best choices")
    for row, corner in zip(best, corners, strict=True):
        text = label(f"{row.run.method} {row.run.setting}", 40)
        axes.annotate(text, corner, xytext=(5, 4), textcoords="offset points", fontsize=6.5)
    axes.margins(0.16, 0.14)
    _from_zero_or_log(axes, rows)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("peak summed PSS (GiB)")


def _from_zero_or_log(axes: Axes, rows: Sequence[RunRow]) -> None:
    """Axes begin at zero, so that twice as far is twice as much; over more than a factor of 12 they are logarithmic."""
    for figure_of, scale, limit in (
        (seconds_of, axes.set_xscale, axes.set_xlim),
        (memory_of, axes.set_yscale, axes.set_ylim),
    ):
        values = [figure_of(row) for row in rows]
        if max(values) > 12 * min(values):
            scale("log")
        else:
            limit(0, None)
