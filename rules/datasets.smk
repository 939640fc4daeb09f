# From the catalogue to SOMA experiments with a manifest.


rule ingest_dataset:
    input:
        lambda wildcards: SETTINGS.catalogue[wildcards.dataset].get("path", []),
    output:
        manifest="results/datasets/{dataset}/manifest.json",
        store=directory("results/datasets/{dataset}/soma"),
    log:
        "results/logs/{dataset}/prepare.log",
    wildcard_constraints:
        dataset=names_of("synthetic", "h5ad"),
    conda:
        "../envs/somaray.yaml"
    # Writing takes every core there is, and nothing may be measured beside it.
    threads: whole_host
    params:
        entry=lambda wildcards: SETTINGS.catalogue[wildcards.dataset],
        fingerprint=lambda wildcards: stages.dataset_fingerprint(SETTINGS.catalogue[wildcards.dataset]["kind"]),
    script:
        "../scripts/prepare_dataset.py"


rule locate_dataset:
    output:
        manifest="results/datasets/{dataset}/manifest.json",
    log:
        "results/logs/{dataset}/prepare.log",
    wildcard_constraints:
        dataset=names_of("soma", "census"),
    conda:
        "../envs/somaray.yaml"
    params:
        entry=lambda wildcards: SETTINGS.catalogue[wildcards.dataset],
        fingerprint=lambda wildcards: stages.dataset_fingerprint(SETTINGS.catalogue[wildcards.dataset]["kind"]),
    script:
        "../scripts/prepare_dataset.py"


# AnnData files of the same cells and genes, for the methods that read one; what they cost is no part of a run.
rule export_h5ad:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
    output:
        "results/datasets/{dataset}/x.h5ad",
    log:
        "results/logs/{dataset}/export-h5ad.log",
    conda:
        "../envs/somaray.yaml"
    # Nothing may be measured beside it.
    threads: whole_host
    params:
        fingerprint=stages.export_fingerprint(),
    script:
        "../scripts/export_dataset.py"


rule export_zarr:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
    output:
        directory("results/datasets/{dataset}/x.zarr"),
    log:
        "results/logs/{dataset}/export-zarr.log",
    conda:
        "../envs/somaray.yaml"
    # Nothing may be measured beside it.
    threads: whole_host
    params:
        fingerprint=stages.export_fingerprint(),
    script:
        "../scripts/export_dataset.py"
