"""Write the HTML report."""

from pathlib import Path

from somaray.console import script_log
from somaray.report.gathered import gather
from somaray.report.html.document import write_report

output, params = snakemake.output, snakemake.params
with script_log(snakemake.log[0]):
    write_report(
        gather(snakemake.input),
        findings=(),
        plots_dir=Path(params.plots_dir),
        runs_dir=Path(params.runs_dir),
        report_path=Path(output.report),
        pages_dir=Path(output.pages),
        config_files=params.config_files,
    )
