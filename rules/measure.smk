# Every run once under memray, and `replicates` times without it. Nothing else runs meanwhile.
MEASURED_PACKAGES = (
    "tiledbsoma tiledb somacore scanpy anndata dask distributed numpy scipy pandas pyarrow numba fast-array-utils"
).split()


def run_fingerprint(wildcards):
    """What a run depends on beside its settings: its method, the measuring around it, and the libraries' versions."""
    return source_fingerprint(
        METHODS[wildcards.method].module,
        "somaray.measure.execute:main",
        "somaray.measure.sampler:run",
        "somaray.measure.assemble:assemble",
        "somaray.measure.supervise:child_environment",
    ) + version_fingerprint(MEASURED_PACKAGES)




rule capture_run:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
    output:
        record=f"{RUN_DIR}/capture.json",
        capture=directory(f"{RUN_DIR}/capture"),
        hvg=f"{RUN_DIR}/hvg.parquet",
        memory=f"{RUN_DIR}/memory/capture.parquet",
    log:
        "results/logs/{dataset}/{method}/{setting}/capture.log",
    params:
        settings=as_params(SETTINGS.hvg, SETTINGS.tiledb, SETTINGS.dask, SETTINGS.profile),
        fingerprint=lambda wildcards: run_fingerprint(wildcards) + version_fingerprint(["memray"]),
        attempt=lambda wildcards: failures(RUN_DIR.format(**wildcards), "capture") + 1,
    # Captures first: they read the dataset from disk, so that all timings find it in the page cache alike.
    priority: 1
    # All cores, so that Snakemake starts nothing beside it.
    threads: workflow.cores
    conda:
        "../envs/somaray.yaml"
    script:
        "../scripts/measure_run.py"


rule time_run:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
    output:
        record=f"{RUN_DIR}/timing/{{replicate}}.json",
        hvg=f"{RUN_DIR}/timing/{{replicate}}.hvg.parquet",
        memory=f"{RUN_DIR}/memory/{{replicate}}.parquet",
    log:
        "results/logs/{dataset}/{method}/{setting}/timing-{replicate}.log",
    params:
        settings=as_params(SETTINGS.hvg, SETTINGS.tiledb, SETTINGS.dask),
        fingerprint=run_fingerprint,
        attempt=lambda wildcards: failures(RUN_DIR.format(**wildcards), f"timing-{wildcards.replicate}") + 1,
    # All cores, so that Snakemake starts nothing beside it.
    threads: workflow.cores
    conda:
        "../envs/somaray.yaml"
    script:
        "../scripts/measure_run.py"
