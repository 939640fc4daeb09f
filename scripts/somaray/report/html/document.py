"""`results/report.html` and, for a large matrix, a page a run beside it."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from somaray.report.compare.comparison import Comparison
from somaray.report.details import RunDetail
from somaray.report.figures.names import TRADE_OFF, matrix_figures
from somaray.report.findings import Finding
from somaray.report.gathered import Gathered
from somaray.report.html import assets, values
from somaray.report.html.all_runs import HEADER, agreement_cells, picked, run_cells
from somaray.report.html.answer import answers, measured_again, trust
from somaray.report.html.comparison_section import comparison_section
from somaray.report.html.inline_svg import inline_svg
from somaray.report.html.run_page import ReadFigure, anchor, run_context
from somaray.report.verdict import failed
from somaray.units import format_bytes

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
        "choices": answers(gathered, hrefs),
        "trust": trust(gathered),
        "measured_again": measured_again(rows, hrefs),
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
