"""Draw a flame graph of each capture of a run."""

from somaray.allocations.flame_graphs import write_flame_graphs
from somaray.console import script_log

with script_log(snakemake.log[0]) as log:
    for capture, reason in write_flame_graphs(snakemake.input.capture, snakemake.output[0]).items():
        print(f"no flame graph of {capture}: {reason}", file=log)
