"""Compute the reference result of one dataset."""

from pathlib import Path

from somaray.batch import current_job
from somaray.config import load_settings
from somaray.console import script_log
from somaray.measure.orders import Outputs
from somaray.measure.reference import make_reference

output = snakemake.output
with script_log(snakemake.log[0]) as log:
    make_reference(
        settings=load_settings(snakemake.config),
        dataset=snakemake.wildcards.dataset,
        manifest_path=Path(snakemake.input.manifest),
        outputs=Outputs(Path(output.record), Path(output.hvg), Path(output.memory)),
        log=log,
        considered=snakemake.params.considered,
        allocated_mib=snakemake.resources.get("mem_mb") if current_job() else None,
    )
