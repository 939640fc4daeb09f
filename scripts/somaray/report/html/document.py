"""`results/report.html` and, for a large matrix, a page a run beside it."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from somaray.report.choices import BUDGETS_BYTES, Choice, choices, memory_of, seconds_of
from somaray.report.compare.comparison import Comparison
from somaray.report.details import RunDetail
from somaray.report.figures.names import TRADE_OFF, matrix_figures
from somaray.report.findings import Finding
from somaray.report.gathered import Gathered
from somaray.report.html import assets, values
from somaray.report.html.all_runs import HEADER, agreement_cells, picked, run_cells
from somaray.report.html.comparison_section import comparison_section
from somaray.report.html.inline_svg import inline_svg
from somaray.report.html.run_page import ReadFigure, anchor, run_context
from somaray.report.html.values import Cell, bytes_cell, number_cell, seconds_cell, text_cell
from somaray.report.rows import RunRow
from somaray.report.verdict import failed
from somaray.units import format_bytes, format_count, format_seconds

MOST_INLINE_RUNS = 24
"""Up to so many runs are told in the report itself; the runs of a larger matrix have files of their own."""

FIGURE_TITLES = {
    "time": "Time by dataset, method and setting",
    "memory": "Peak memory by dataset, method and setting",
    "speed": "Cells a second by dataset, method and setting",
    TRADE_OFF: "Time against memory; the dashed line joins the best choices",
    "scaling_processes": "More Dask processes",
    "scaling_threads": "More Dask threads",
    "scaling_tile_threads": "More TileDB threads",
    "scaling_chunk_size": "Larger chunks",
}


def write_report(
    gathered: Gathered,
    findings: Sequence[Finding],
    plots_dir: str | Path,
    runs_dir: str | Path,
    report_path: str | Path,
    pages_dir: str | Path,
    config_files: Sequence[str] = (),
    replay: bool = False,
    comparison: Comparison | str | None = None,
) -> None:
    """Write the report, and into `pages_dir` the pages of runs if there are many (it is empty otherwise).

    Parameters
    ----------
    plots_dir
        Where the figures lie, as `figures.files` names them; one that is missing is left out.
    replay
        Whether every run has a replay in its folder.
    comparison
        With other results, or why there is none; None where none was asked for.
    """
    report_path, pages_dir = Path(report_path), Path(pages_dir)
    shutil.rmtree(pages_dir, ignore_errors=True)
    pages_dir.mkdir(parents=True)
    runs = gathered.details(runs_dir)
    inline = len(runs) <= MOST_INLINE_RUNS
    hrefs = {
        detail.run.path: f"#{anchor(detail.run)}" if inline else f"{pages_dir.name}/{anchor(detail.run)}.html"
        for detail in runs
    }

    def read_figure(name: str) -> str | None:
        path = Path(plots_dir) / name
        return path.read_text() if path.exists() else None

    environment = _environment()
    page = environment.get_template("report.html.j2")
    context = report_context(gathered, findings, hrefs, read_figure, runs)
    told = [run_context(detail, read_figure, "", config_files, replay) for detail in runs] if inline else []
    section = None if comparison is None else comparison_section(comparison)
    report_path.write_text(page.render(**context, runs=told, comparison=section, tables=True))
    if not inline:
        page = environment.get_template("run_page.html.j2")
        for detail in runs:
            each = run_context(detail, read_figure, "../", config_files, replay)
            text = page.render(run=each, findings=findings, hrefs={}, home=f"../{report_path.name}", tables=False)
            (pages_dir / f"{each['anchor']}.html").write_text(text)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(assets.TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = values.with_code
    environment.tests["contains_run"] = lambda runs, path: path in runs
    environment.globals["assets"] = assets
    return environment


def report_context(
    gathered: Gathered,
    findings: Sequence[Finding],
    hrefs: Mapping[str, str],
    read_figure: ReadFigure,
    runs: Sequence[RunDetail],
) -> dict[str, Any]:
    """Everything the template of the report needs, the runs' own parts aside."""
    rows = gathered.rows
    figures = {}
    for name in matrix_figures([detail.run for detail in runs]):
        svg = read_figure(f"{name}.svg")
        if svg is not None:
            figures[name] = (FIGURE_TITLES[name], inline_svg(svg, f"figure-{name}", FIGURE_TITLES[name]))
    executions = gathered.executions
    times = sorted(execution.provenance.made_at for execution in executions)
    lines = [run_cells(row, hrefs) for row in rows]
    return {
        "choices": [_choice(choice, hrefs) for choice in choices(rows)],
        "trust": trust(gathered),
        "failures": failed(executions, gathered.agreements),
        "findings": findings,
        "hrefs": hrefs,
        "header": HEADER,
        "picked": picked(lines),
        "rows": lines,
        "agreement": agreement_cells(gathered, hrefs),
        "figures": figures,
        "manifests": gathered.manifests,
        "hosts": sorted(
            {execution.provenance.host.name: execution.provenance.host for execution in executions}.items()
        ),
        "measured": (times[0], times[-1]) if times else None,
        "n_runs": len(runs),
        "format_bytes": format_bytes,
    }


def _choice(choice: Choice, hrefs: Mapping[str, str]) -> dict[str, Any]:
    """A dataset's choices as rows; budgets that come to the same run share one."""
    lines: list[tuple[str, RunRow | None]] = [("Fastest", choice.fastest), ("Leanest", choice.leanest)]
    budgets = list(choice.by_budget.items())
    start = 0
    for index, (_, row) in enumerate(budgets):
        if index + 1 == len(budgets) or budgets[index + 1][1] is not row:
            low, high = format_bytes(budgets[start][0]), format_bytes(budgets[index][0])
            lines.append((f"In {high}" if start == index else f"In {low} to {high}", row))
            start = index + 1
    return {
        "dataset": choice.dataset,
        "headline": choice.fastest,
        "setting": "" if choice.fastest is None else setting_text(choice.fastest),
        "seconds": "" if choice.fastest is None else format_seconds(seconds_of(choice.fastest)),
        "memory": "" if choice.fastest is None else format_bytes(memory_of(choice.fastest)),
        "lines": [(title, None if row is None else _chosen(row, hrefs)) for title, row in lines],
        "n_finished": choice.n_finished,
        "least_budget": format_bytes(BUDGETS_BYTES[0]),
    }


def _chosen(row: RunRow, hrefs: Mapping[str, str]) -> list[Cell]:
    return [
        text_cell(f"{row.run.method} {row.run.setting}", hrefs.get(row.run.path, "")),
        seconds_cell(row.wall_seconds),
        bytes_cell(memory_of(row)),
        number_cell(row.cells_per_second, values.speed_text(row.cells_per_second)),
    ]


def setting_text(row: RunRow) -> str:
    """Say a run's setting in words."""
    run = row.run
    if run.chunk_size is None or run.parallelism is None:
        return "X read whole"
    words = run.parallelism
    where = f"{words.processes} Dask process{'es' * (words.processes != 1)}" if words.processes else "no worker process"
    return (
        f"{format_count(run.chunk_size)} cells a chunk, {where} × {words.threads} thread{'s' * (words.threads != 1)} × "
        f"{words.tile_threads} of TileDB"
    )


def trust(gathered: Gathered) -> list[tuple[str, str, bool]]:
    """What speaks for and against the figures: a title, a figure, and whether it is good."""
    rows = [row for row in gathered.rows if row.origin == "measured"]
    good = sum(row.status == "ok" for row in rows)
    checks = [check for agreement in gathered.agreements for check in agreement.checks]
    checked = [check for check in checks if check.agrees is not None]
    agree = sum(bool(check.agrees) for check in checked)
    spreads = [
        (row.wall_seconds.maximum - row.wall_seconds.minimum) / row.wall_seconds.median
        for row in rows
        if row.wall_seconds.median and row.wall_seconds.maximum is not None and row.wall_seconds.minimum is not None
    ]
    replicates = [row.replicates for row in rows if row.replicates]
    told = [
        ("Runs that ended well", f"{good} of {len(rows)}", good == len(rows)),
        ("Results that agree with Scanpy's own", f"{agree} of {len(checked)}", agree == len(checked)),
    ]
    if len(checks) > len(checked):
        told.append(("Results not checked", str(len(checks) - len(checked)), False))
    if replicates:
        told.append(("Replicates of each run", _range(min(replicates), max(replicates)), min(replicates) > 1))
    if spreads:
        widest = max(spreads)
        told.append(("Widest spread of times over replicates", f"{100 * widest:.0f} % of the median", widest < 0.25))
    return told


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
