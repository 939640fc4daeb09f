"""How time and memory change along one axis of the matrix, all else equal."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from somaray.report.choices import finished
from somaray.report.figures.names import AXES, position, series
from somaray.report.figures.style import PAGE_INCHES, colours, footnote, label, new_figure, say, styled
from somaray.report.rows import RunRow, Spread
from somaray.units import format_count

MOST_LINES = 8


def scaling(rows: Sequence[RunRow], axis: str) -> Figure:
    """Draw time and memory along an axis, a line a group of runs alike in all else, with the range over replicates.

    Of more than eight groups those with most points are drawn.
    """
    by_run = {row.run: row for row in finished(rows)}
    groups = sorted(series(by_run, axis).items(), key=lambda item: -len(item[1]))
    shown = groups[:MOST_LINES]
    with styled():
        figure = new_figure(PAGE_INCHES, 2.9)
        if not shown:
            say(figure.add_subplot(), f"no two finished runs differ in {AXES[axis]} alone")
            return figure
        left, right = figure.subplots(1, 2)
        names = {key: _name(key, axis, [other for other, _ in shown]) for key, _ in shown}
        marks = colours(names.values())
        for key, runs in shown:
            lines = [by_run[run] for run in runs]
            at = [position(run, axis) or 0 for run in runs]
            _line(left, at, [row.wall_seconds for row in lines], 1.0, names[key], marks[names[key]])
            _line(right, at, [row.peak_pss_bytes for row in lines], 2.0**30, names[key], marks[names[key]])
        for axes, title in ((left, "time (s)"), (right, "peak summed PSS (GiB)")):
            _finish(axes, sorted({position(run, axis) or 0 for _, runs in shown for run in runs}), axis)
            axes.set_ylabel(title)
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        least = min(by_run[run].replicates for _, runs in shown for run in runs)
        note = f"Medians of n ≥ {least} replicates, bars from the smallest to the largest; all else equal along a line."
        footnote(
            figure, note + (f" {len(groups) - len(shown)} more lines left out." if len(groups) > len(shown) else "")
        )
    return figure


def _line(
    axes: Axes, at: Sequence[int], spreads: Sequence[Spread], unit: float, name: str, mark: tuple[str, str]
) -> None:
    middle = [(spread.median or 0.0) / unit for spread in spreads]
    below = [((spread.median or 0.0) - (spread.minimum or 0.0)) / unit for spread in spreads]
    above = [((spread.maximum or 0.0) - (spread.median or 0.0)) / unit for spread in spreads]
    axes.errorbar(at, middle, yerr=(below, above), color=mark[0], marker=mark[1], capsize=2, elinewidth=0.8, label=name)


def _finish(axes: Axes, at: Sequence[int], axis: str) -> None:
    axes.set_ylim(0, None)
    axes.set_xlabel(AXES[axis])
    if 0 not in at:
        axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(at))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(round(value))))
    axes.margins(x=0.1)


def _name(key: tuple[object, ...], axis: str, all_keys: Sequence[tuple[object, ...]]) -> str:
    """Say what sets a line apart from the others, the method always."""
    dataset, method, variant, *others = key
    words = {"dataset": dataset, "method": method, "variant": variant}
    short = {"processes": "P", "threads": "T", "tile_threads": "C", "chunk_size": "chunk "}
    fixed = [other for other in AXES if other != axis]
    words |= {
        name: f"{short[name]}{format_count(value) if isinstance(value, int) else '–'}"
        for name, value in zip(fixed, others, strict=True)
    }
    kept = [
        str(word)
        for index, (name, word) in enumerate(words.items())
        if name == "method" or len({other[index] for other in all_keys}) > 1
    ]
    return label(" · ".join(kept), 60)
