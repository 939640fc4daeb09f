"""Write the index of all results."""

from pathlib import Path

from somaray.console import script_log
from somaray.report.gathered import gather
from somaray.report.index import index

with script_log(snakemake.log[0]):
    Path(snakemake.output[0]).write_text(index(gather(snakemake.input), replay=snakemake.params.replay))
