"""Draw every figure of the matrix and of its runs."""

from pathlib import Path

from somaray.console import script_log
from somaray.report.figures.files import draw_all
from somaray.report.gathered import gather

given, output = snakemake.input, snakemake.output
with script_log(snakemake.log[0]):
    gathered = gather(given)
    draw_all(
        gathered.rows,
        gathered.details(runs_dir=Path(given.captures[0]).parents[3]),
        plots_dir=Path(output[0]).parent,
    )
