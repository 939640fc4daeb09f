"""The matrix at a glance: a row a dataset and method, a column a setting, a number and a shade each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from somaray.report.figures.style import GRID, MUTED, footnote, label, new_figure, say, styled
from somaray.report.rows import RunRow
from somaray.units import significant


@dataclass(frozen=True)
class Measure:
    """What a heat map shows: a title with its unit, the figure of a row, and whether less is better."""

    title: str
    value: Callable[[RunRow], float | None]
    less_is_better: bool = True


def _gib(row: RunRow) -> float | None:
    return None if row.peak_pss_bytes.median is None else row.peak_pss_bytes.median / 2**30


MEASURES = {
    "time": Measure("Time, median (s)", lambda row: row.wall_seconds.median),
    "memory": Measure("Peak memory, summed PSS, median (GiB)", _gib),
    "speed": Measure("Cells a second", lambda row: row.cells_per_second, less_is_better=False),
}


def heat_map(rows: Sequence[RunRow], measure: Measure) -> Figure:
    """Draw one measure of all measured runs; runs that did not end well are crossed out, runs not asked for are blank."""
    rows = [row for row in rows if row.origin == "measured"]
    lines = list(dict.fromkeys((row.run.dataset, row.run.method) for row in rows))
    ordered = sorted(rows, key=lambda row: row.run.sort_key[2:])
    settings = list(dict.fromkeys(row.run.setting for row in ordered))
    values = np.full((len(lines), len(settings)), np.nan)
    crossed = []
    for row in rows:
        at = lines.index((row.run.dataset, row.run.method)), settings.index(row.run.setting)
        value = measure.value(row)
        if row.status == "ok" and value:
            values[at] = value
        else:
            crossed.append(at)
    with styled():
        figure = new_figure(max(3.5, 2.2 + 0.62 * len(settings)), 1.3 + 0.27 * len(lines))
        axes = figure.add_subplot()
        axes.set_title(measure.title)
        if np.isnan(values).all():
            say(axes, "no run has this figure")
            return figure
        _draw(figure, values, crossed, measure.less_is_better)
        axes.set_xticks(range(len(settings)), [label(setting, 24) for setting in settings], rotation=40, ha="right")
        datasets = {dataset for dataset, _ in lines}
        names = [label(method if len(datasets) == 1 else f"{dataset} · {method}", 34) for dataset, method in lines]
        axes.set_yticks(range(len(lines)), names)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        footnote(figure, "Chunk size_processes x threads x TileDB threads. × did not end well.")
    return figure


def _draw(figure: Figure, values: np.ndarray, crossed: Sequence[tuple[int, int]], less_is_better: bool) -> None:
    (axes,) = figure.axes
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    norm = LogNorm(low, high if high > low else low * 1.01)
    # The good end is light in both directions, so that its number is read first.
    image = axes.imshow(values, norm=norm, cmap="cividis_r" if less_is_better else "cividis", aspect="auto")
    for (line, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            red, green, blue, _ = image.cmap(norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            shown = f"{float(f'{value:.3g}'):,.0f}" if value >= 1000 else significant(value, 3)
            axes.text(column, line, shown, ha="center", va="center", fontsize=7, color="#ffffff" if dark else "#000000")
    for line, column in crossed:
        axes.add_patch(Rectangle((column - 0.5, line - 0.5), 1, 1, facecolor=GRID, edgecolor="none"))
        axes.text(column, line, "×", ha="center", va="center", fontsize=9, color=MUTED)
