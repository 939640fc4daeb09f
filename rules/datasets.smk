# From the catalogue to SOMA experiments with a manifest.
def names_of(*kinds):
    """Regular expression of the datasets of some kinds; one that matches nothing if there are none."""
    names = [name for name, entry in SETTINGS.catalogue.items() if entry["kind"] in kinds]
    return "|".join(map(re.escape, names)) or "(?!)"


def dataset_fingerprint(wildcards):
    """What a prepared dataset depends on beside its entry: the sources and libraries that write it."""
    return source_fingerprint("somaray.datasets.prepare:prepare") + version_fingerprint(["tiledbsoma", "tiledb", "numpy"])


rule ingest_dataset:
    input:
        lambda wildcards: SETTINGS.catalogue[wildcards.dataset].get("path", []),
    output:
        manifest="results/datasets/{dataset}/manifest.json",
        store=directory("results/datasets/{dataset}/soma"),
    log:
        "results/logs/{dataset}/prepare.log",
    params:
        entry=lambda wildcards: SETTINGS.catalogue[wildcards.dataset],
        fingerprint=dataset_fingerprint,
    wildcard_constraints:
        dataset=names_of("synthetic", "h5ad"),
    # Writing takes every core there is, and nothing may be measured beside it.
    threads: workflow.cores
    conda:
        "../envs/somaray.yaml"
    script:
        "../scripts/prepare_dataset.py"


rule locate_dataset:
    output:
        manifest="results/datasets/{dataset}/manifest.json",
    log:
        "results/logs/{dataset}/prepare.log",
    params:
        entry=lambda wildcards: SETTINGS.catalogue[wildcards.dataset],
        fingerprint=dataset_fingerprint,
    wildcard_constraints:
        dataset=names_of("soma", "census"),
    conda:
        "../envs/somaray.yaml"
    script:
        "../scripts/prepare_dataset.py"
