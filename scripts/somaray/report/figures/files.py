"""All figures, drawn and written under their names."""

from collections.abc import Sequence
from pathlib import Path

from somaray.report.details import RunDetail
from somaray.report.figures.group_bars import group_bars
from somaray.report.figures.heat_maps import MEASURES, heat_map
from somaray.report.figures.memory_over_time import memory_over_time
from somaray.report.figures.names import TRADE_OFF, matrix_figures, run_figures
from somaray.report.figures.scaling import scaling
from somaray.report.figures.style import svg
from somaray.report.figures.task_stream import task_stream
from somaray.report.figures.trade_off import trade_off
from somaray.report.rows import RunRow


def matrix_svg(rows: Sequence[RunRow], name: str) -> str:
    """Draw one of `matrix_figures`."""
    if name in MEASURES:
        return svg(heat_map(rows, MEASURES[name]))
    if name == TRADE_OFF:
        return svg(trade_off(rows))
    return svg(scaling(rows, name.removeprefix("scaling_")))


def run_svg(detail: RunDetail, name: str) -> str:
    """Draw one of `run_figures`."""
    if name == "memory":
        return svg(memory_over_time(detail.shown, detail.memory(), detail.tasks(), detail.heap(), detail.capture))
    if name == "tasks":
        return svg(task_stream(detail.shown, detail.tasks(), detail.memory()))
    return svg(group_bars(detail.allocations))


def draw_all(rows: Sequence[RunRow], runs: Sequence[RunDetail], plots_dir: str | Path) -> None:
    """Write every figure of `figure_files` below `plots_dir`."""
    for name in matrix_figures([detail.run for detail in runs]):
        _write(Path(plots_dir) / f"{name}.svg", matrix_svg(rows, name))
    for detail in runs:
        for name in run_figures(detail.run):
            _write(Path(plots_dir) / "hvg" / detail.run.path / f"{name}.svg", run_svg(detail, name))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
