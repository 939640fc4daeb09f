"""Name the allocations without a Python frame of a run's capture with native traces."""

from pathlib import Path

from somaray.allocations.native import name_nameless
from somaray.console import script_log
from somaray.records import Execution, read_record, write_record

wildcards = snakemake.wildcards
with script_log(snakemake.log[0]):
    run = f"{wildcards.dataset}/{wildcards.method}/{wildcards.setting}"
    execution = read_record(snakemake.input.record, Execution)
    write_record(snakemake.output[0], name_nameless(execution, Path(snakemake.input.capture), run))
