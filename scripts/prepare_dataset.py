"""Prepare one dataset of the catalogue."""

from pathlib import Path

from somaray.console import script_log
from somaray.datasets.prepare import prepare
from somaray.records import write_record

with script_log(snakemake.log[0]):
    store = snakemake.output.get("store")
    manifest = prepare(
        snakemake.wildcards.dataset,
        snakemake.params.entry,
        Path(store) if store else None,
        snakemake.params.fingerprint,
    )
    write_record(snakemake.output.manifest, manifest)
