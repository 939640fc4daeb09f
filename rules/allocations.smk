# From captures to allocations by place, and flame graphs.
rule summarise_allocations:
    input:
        record=f"{RUN_DIR}/capture.json",
        capture=f"{RUN_DIR}/capture",
    output:
        record=f"{RUN_DIR}/allocations.json",
        heap=f"{RUN_DIR}/memory/heap.parquet",
    log:
        "results/logs/{dataset}/{method}/{setting}/allocations.log",
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.allocations_fingerprint(),
    script:
        "../scripts/summarise_allocations.py"


rule name_nameless:
    input:
        record=f"{RUN_DIR}/native/capture.json",
        capture=f"{RUN_DIR}/native/capture",
    output:
        f"{RUN_DIR}/native.json",
    log:
        "results/logs/{dataset}/{method}/{setting}/native-names.log",
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.native_fingerprint(),
    script:
        "../scripts/name_nameless.py"


rule draw_flame_graphs:
    input:
        capture=f"{RUN_DIR}/capture",
    output:
        directory(f"{RUN_DIR}/flamegraph"),
    log:
        "results/logs/{dataset}/{method}/{setting}/flamegraph.log",
    conda:
        "../envs/somaray.yaml"
    script:
        "../scripts/draw_flame_graphs.py"
