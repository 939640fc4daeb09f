"""Write the HTML report."""

from pathlib import Path

from somaray.console import script_log
from somaray.errors import SomarayError
from somaray.report.compare.comparison import Comparison, compare_sides
from somaray.report.compare.sides import read_sides
from somaray.report.findings import Records, find
from somaray.report.gathered import gather
from somaray.report.html.document import write_report

given, output = snakemake.input, snakemake.output


def compared(other: str | None) -> Comparison | str | None:
    """What changed since other results, or why that cannot be said."""
    if other is None:
        return None
    try:
        return compare_sides(*read_sides(other, Path(output.report).parent))
    except SomarayError as error:
        return str(error)


with script_log(snakemake.log[0]):
    gathered = gather(given)
    write_report(
        gathered,
        find(Records(gathered.manifests, gathered.captures, gathered.timings, gathered.allocations)),
        plots_dir=Path(given.plots[0]).parent,
        runs_dir=Path(given.captures[0]).parents[3],
        report_path=Path(output.report),
        pages_dir=Path(output.pages),
        config_files=snakemake.params.config_files,
        replay=snakemake.params.replay,
        comparison=compared(snakemake.params.compare_with),
    )
