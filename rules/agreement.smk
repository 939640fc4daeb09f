# The reference of each dataset, and every result held against it.
rule make_reference:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
    output:
        record="results/reference/{dataset}/reference.json",
        hvg="results/reference/{dataset}/hvg.parquet",
        memory="results/reference/{dataset}/memory.parquet",
    log:
        "results/logs/{dataset}/reference.log",
    conda:
        "../envs/somaray.yaml"
    # All cores, so that nothing is measured beside it.
    threads: whole_host
    resources:
        mem_mb=memory_of_reference,
        runtime=runtime_of_reference,
    params:
        settings=as_params(SETTINGS.hvg, SETTINGS.common.tiledb),
        fingerprint=stages.reference_fingerprint("in-memory"),
        considered=lambda wildcards: reconsidered(f"results/reference/{wildcards.dataset}", SETTINGS.limits),
        attempt=lambda wildcards: failures(f"results/reference/{wildcards.dataset}", "reference") + 1,
    script:
        "../scripts/make_reference.py"


rule check_agreement:
    input:
        reference="results/reference/{dataset}/reference.json",
        reference_hvg="results/reference/{dataset}/hvg.parquet",
        records=[f"{RUN_DIR}/capture.json", *(f"{RUN_DIR}/{timing}.json" for timing in TIMINGS)],
        hvg=[f"{RUN_DIR}/hvg.parquet", *(f"{RUN_DIR}/{timing}.hvg.parquet" for timing in TIMINGS)],
    output:
        f"{RUN_DIR}/agreement.json",
    log:
        "results/logs/{dataset}/{method}/{setting}/agreement.log",
    # Light enough for the machine that submits, as everything that only reads small records.
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.agreement_fingerprint(),
    script:
        "../scripts/check_agreement.py"
