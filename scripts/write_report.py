"""Write the HTML report."""

from pathlib import Path

from somaray.console import script_log
from somaray.report.findings import Records, find
from somaray.report.gathered import gather
from somaray.report.html.document import write_report

given, output = snakemake.input, snakemake.output
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
    )
