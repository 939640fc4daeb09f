# Every run once under memray (twice, if native traces are asked for), and `replicates` times without it. Nothing else runs
# meanwhile on its host.


rule capture_run:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
        export=exported,
    output:
        record=f"{RUN_DIR}/capture.json",
        capture=directory(f"{RUN_DIR}/capture"),
        hvg=f"{RUN_DIR}/hvg.parquet",
        memory=f"{RUN_DIR}/memory/capture.parquet",
        tasks=f"{RUN_DIR}/tasks/capture.parquet",
    log:
        "results/logs/{dataset}/{method}/{setting}/capture.log",
    # Captures first: they read the dataset from disk, so that all timings find it in the page cache alike.
    priority: 1
    conda:
        "../envs/somaray.yaml"
    threads: cores_for_run
    resources:
        **resources_of("capture"),
    params:
        settings=lambda wildcards: as_params(SETTINGS.hvg, SETTINGS.of(run_of(wildcards)), SETTINGS.profile),
        fingerprint=lambda wildcards: stages.capture_fingerprint(wildcards.method),
        attempt=lambda wildcards: failures(RUN_DIR.format(**wildcards), "capture") + 1,
    script:
        "../scripts/measure_run.py"


rule capture_native:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
        export=exported,
    output:
        record=f"{RUN_DIR}/native/capture.json",
        capture=directory(f"{RUN_DIR}/native/capture"),
        hvg=f"{RUN_DIR}/native/hvg.parquet",
        memory=f"{RUN_DIR}/native/memory.parquet",
    log:
        "results/logs/{dataset}/{method}/{setting}/native.log",
    priority: 1
    conda:
        "../envs/somaray.yaml"
    threads: cores_for_run
    resources:
        **resources_of("native"),
    params:
        settings=lambda wildcards: as_params(SETTINGS.hvg, SETTINGS.of(run_of(wildcards)), SETTINGS.profile),
        fingerprint=lambda wildcards: stages.native_capture_fingerprint(wildcards.method),
        attempt=lambda wildcards: failures(RUN_DIR.format(**wildcards), "native") + 1,
        native=True,
    script:
        "../scripts/measure_run.py"


rule time_run:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
        export=exported,
    output:
        record=f"{RUN_DIR}/timing/{{replicate}}.json",
        hvg=f"{RUN_DIR}/timing/{{replicate}}.hvg.parquet",
        memory=f"{RUN_DIR}/memory/{{replicate}}.parquet",
        tasks=f"{RUN_DIR}/tasks/{{replicate}}.parquet",
    log:
        "results/logs/{dataset}/{method}/{setting}/timing-{replicate}.log",
    conda:
        "../envs/somaray.yaml"
    threads: cores_for_run
    resources:
        **resources_of("timing-{replicate}"),
    params:
        settings=lambda wildcards: as_params(SETTINGS.hvg, SETTINGS.of(run_of(wildcards))),
        fingerprint=lambda wildcards: stages.run_fingerprint(wildcards.method),
        attempt=lambda wildcards: failures(RUN_DIR.format(**wildcards), f"timing-{wildcards.replicate}") + 1,
    script:
        "../scripts/measure_run.py"
