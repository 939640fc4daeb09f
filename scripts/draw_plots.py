"""Draw every figure of the matrix and of its runs."""

from pathlib import Path

from somaray.console import script_log
from somaray.report.figures.files import draw_all
from somaray.report.gathered import gather

params = snakemake.params
with script_log(snakemake.log[0]):
    gathered = gather(snakemake.input)
    draw_all(gathered.rows, gathered.details(Path(params.runs_dir)), Path(params.plots_dir))
