"""Export one dataset to an AnnData file."""

from pathlib import Path

from somaray.console import script_log
from somaray.datasets.export import export
from somaray.datasets.store import Source
from somaray.records import Manifest, read_record

with script_log(snakemake.log[0]):
    manifest = read_record(snakemake.input.manifest, Manifest)
    for note in export(Source.from_manifest(manifest, {}, None), Path(snakemake.output[0]), manifest.nnz):
        print(f"dataset {manifest.name}: {note}", flush=True)
