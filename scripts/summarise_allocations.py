"""Summarise a run's captures by process and source line, and their heaps over time."""

from pathlib import Path

from somaray.allocations.heap_lines import heap_lines
from somaray.allocations.summarise import summarise
from somaray.console import script_log
from somaray.records import Execution, read_record, write_record

with script_log(snakemake.log[0]):
    execution = read_record(snakemake.input.record, Execution)
    write_record(snakemake.output.record, summarise(execution, Path(snakemake.input.capture)))
    heap_lines(snakemake.input.capture).to_parquet(snakemake.output.heap, index=False)
