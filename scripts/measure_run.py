"""Execute one run once, profiled or timed."""

from pathlib import Path

from somaray.batch import current_job
from somaray.config import load_settings
from somaray.console import script_log
from somaray.matrix import Run, parse_setting
from somaray.measure.orders import Outputs, measure

wildcards, output = snakemake.wildcards, snakemake.output
capture, tasks, replicate = output.get("capture"), output.get("tasks"), wildcards.get("replicate")
with script_log(snakemake.log[0]) as log:
    measure(
        settings=load_settings(snakemake.config),
        run=Run(wildcards.dataset, wildcards.method, *parse_setting(wildcards.setting)),
        manifest=Path(snakemake.input.manifest),
        replicate=int(replicate) if replicate else None,
        attempt=snakemake.params.attempt,
        outputs=Outputs(
            record=Path(output.record),
            hvg=Path(output.hvg),
            memory=Path(output.memory),
            capture_dir=Path(capture) if capture else None,
            tasks=Path(tasks) if tasks else None,
            native=snakemake.params.get("native", False),
        ),
        log=log,
        export=Path(snakemake.input.export) if snakemake.input.get("export") else None,
        tries=snakemake.resources.tries,
        retries=snakemake.resources.retries,
        allocated_mib=snakemake.resources.get("mem_mb") if current_job() else None,
    )
