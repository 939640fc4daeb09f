# Tables and documents from all records, and the verdict that makes the invocation fail if a run did.
RECORDS = {
    "manifests": [f"results/datasets/{dataset}/manifest.json" for dataset in SETTINGS.datasets],
    "captures": every_run("capture.json"),
    "timings": every_run(*(f"{timing}.json" for timing in TIMINGS)),
    "allocations": every_run("allocations.json"),
    "agreements": every_run("agreement.json"),
}
NATIVE = SETTINGS.native_traces


rule write_tables:
    input:
        **RECORDS,
        imported=SETTINGS.imported,
    output:
        runs="results/tables/runs.md",
        csv="results/tables/runs.csv",
        agreement="results/tables/agreement.md",
        processes="results/tables/processes.md",
    log:
        "results/logs/tables.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.report_fingerprint("tables") + stages.report_fingerprint("processes"),
    script:
        "../scripts/write_tables.py"


rule write_allocations_document:
    input:
        **RECORDS,
        natives=every_run("native.json") if NATIVE else [],
        imported=SETTINGS.imported,
    output:
        "results/allocations.md",
    log:
        "results/logs/allocations.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.report_fingerprint("allocations_document"),
    script:
        "../scripts/write_allocations_document.py"


rule write_findings:
    input:
        **RECORDS,
    output:
        "results/findings.md",
    log:
        "results/logs/findings.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.report_fingerprint("findings") + stages.report_fingerprint("findings_document"),
    script:
        "../scripts/write_findings.py"


rule verdict:
    input:
        captures=RECORDS["captures"],
        natives=every_run("native/capture.json") if NATIVE else [],
        timings=RECORDS["timings"],
        agreements=RECORDS["agreements"],
        # Last, so that a failed run never keeps the tables from being written.
        tables=["results/tables/runs.md", "results/allocations.md", "results/findings.md"],
    output:
        "results/verdict.txt",
    log:
        "results/logs/verdict.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    script:
        "../scripts/give_verdict.py"
