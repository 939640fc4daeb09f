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
    threads: ALL_CORES
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
