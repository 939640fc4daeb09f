"""Hold every result of one run against the reference."""

from pathlib import Path

from somaray.agreement import check_run
from somaray.console import script_log
from somaray.failures import note_failure
from somaray.matrix import Run, parse_setting
from somaray.records import Execution, Reference, read_record, write_record

wildcards = snakemake.wildcards
with script_log(snakemake.log[0]):
    executions = {}
    for path, hvg in zip(snakemake.input.records, snakemake.input.hvg, strict=True):
        record = read_record(path, Execution)
        executions["capture" if record.replicate is None else f"timing-{record.replicate}"] = (record, hvg)
    agreement = check_run(
        Run(wildcards.dataset, wildcards.method, *parse_setting(wildcards.setting)),
        executions,
        read_record(snakemake.input.reference, Reference),
        snakemake.input.reference_hvg,
    )
    for check in agreement.checks:
        if check.agrees is False:
            note_failure(Path(snakemake.output[0]).parent, check.execution)
    write_record(snakemake.output[0], agreement)
