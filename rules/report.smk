# Tables and documents from all records, and the verdict that makes the invocation fail if a run did.
RECORDS = {
    "manifests": [f"results/datasets/{dataset}/manifest.json" for dataset in SETTINGS.datasets],
    "captures": every_run("capture.json"),
    "timings": every_run(*(f"{timing}.json" for timing in TIMINGS)),
    "allocations": every_run("allocations.json"),
    "agreements": every_run("agreement.json"),
}
# What was taken down over time: PSS of all processes, heaps of the capture, and tasks.
COLUMNS = {
    "memory": every_run("memory/heap.parquet", *(f"memory/{name}.parquet" for name in EXECUTIONS)),
    "tasks": every_run(*(f"tasks/{name}.parquet" for name in EXECUTIONS)),
}
PLOTS = [f"results/plots/{file}" for file in figure_files(SETTINGS.runs)]
NATIVE = SETTINGS.native_traces
COMPARED = [f"{SETTINGS.compare_with}/{TABLE_OF_RUNS}", "results/tables/runs.csv"] if SETTINGS.compare_with else []
REPLAYS = every_run("replay.mp4", "replay.webp") if SETTINGS.replay else []


rule write_tables:
    input:
        **RECORDS,
        imported=SETTINGS.imported,
    output:
        runs=report(
            "results/tables/runs.md",
            caption="../report/runs.rst",
            category="Tables",
            labels={"table": "runs, Markdown"},
        ),
        csv=report("results/tables/runs.csv", caption="../report/runs.rst", category="Tables", labels={"table": "runs"}),
        agreement=report(
            "results/tables/agreement.md",
            caption="../report/agreement.rst",
            category="Tables",
            labels={"table": "agreement"},
        ),
        processes=report(
            "results/tables/processes.md",
            caption="../report/processes.rst",
            category="Tables",
            labels={"table": "processes"},
        ),
    log:
        "results/logs/tables.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.tables_fingerprint(),
    script:
        "../scripts/write_tables.py"


rule write_recommend:
    input:
        **RECORDS,
        imported=SETTINGS.imported,
    output:
        report(
            "results/tables/recommend.md",
            caption="../report/recommend.rst",
            category="Tables",
            labels={"table": "recommended settings"},
        ),
    log:
        "results/logs/recommend.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.recommend_fingerprint(),
    script:
        "../scripts/write_recommend.py"


rule write_allocations_document:
    input:
        **RECORDS,
        natives=every_run("native.json") if NATIVE else [],
        imported=SETTINGS.imported,
    output:
        report(
            "results/allocations.md",
            caption="../report/allocations.rst",
            category="Tables",
            labels={"table": "allocations"},
        ),
    log:
        "results/logs/allocations.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.report_fingerprint("allocations_document"),
        replay=SETTINGS.replay,
    script:
        "../scripts/write_allocations_document.py"


rule write_findings:
    input:
        **RECORDS,
    output:
        report(
            "results/findings.md",
            caption="../report/findings.rst",
            category="Tables",
            labels={"table": "findings"},
        ),
    log:
        "results/logs/findings.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.report_fingerprint("findings") + stages.report_fingerprint("findings_document"),
    script:
        "../scripts/write_findings.py"


rule draw_plots:
    input:
        **RECORDS,
        **COLUMNS,
        imported=SETTINGS.imported,
    output:
        [
            report(
                f"results/plots/{name}.svg",
                caption=f"../report/{caption_of(name)}.rst",
                category="Figures",
                labels={"figure": name.replace("_", " ")},
            )
            for name in matrix_figures(SETTINGS.runs)
        ],
        [
            report(
                f"results/plots/hvg/{run.path}/{name}.svg",
                caption="../report/run.rst",
                category="Runs",
                subcategory=f"{run.dataset}, {run.method}",
                labels={"run": run.setting, "figure": name},
            )
            for run in SETTINGS.runs
            for name in run_figures(run)
        ],
    log:
        "results/logs/plots.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.figures_fingerprint(),
    script:
        "../scripts/draw_plots.py"


rule make_replay:
    input:
        capture=f"{RUN_DIR}/capture.json",
        timings=[f"{RUN_DIR}/{timing}.json" for timing in TIMINGS],
        columns=[f"{RUN_DIR}/{kind}/{name}.parquet" for kind in ("memory", "tasks") for name in EXECUTIONS],
    output:
        video=f"{RUN_DIR}/replay.mp4",
        short=f"{RUN_DIR}/replay.webp",
    log:
        "results/logs/{dataset}/{method}/{setting}/replay.log",
    # Last of all: nobody waits for it.
    priority: -1
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.replay_fingerprint(),
    script:
        "../scripts/make_replay.py"


rule write_report:
    input:
        **RECORDS,
        imported=SETTINGS.imported,
        plots=PLOTS,
        compared=COMPARED,
    output:
        report=report(
            "results/report.html", caption="../report/page.rst", category="Report", labels={"page": "the whole report"}
        ),
        pages=directory("results/report"),
    log:
        "results/logs/report.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.page_fingerprint(),
        config_files=added_config_files(),
        replay=SETTINGS.replay,
        compare_with=SETTINGS.compare_with,
    script:
        "../scripts/write_report.py"


rule write_index:
    input:
        **RECORDS,
        imported=SETTINGS.imported,
    output:
        "results/README.md",
    log:
        "results/logs/index.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    params:
        fingerprint=stages.report_fingerprint("index"),
        replay=SETTINGS.replay,
    script:
        "../scripts/write_index.py"


rule verdict:
    input:
        captures=RECORDS["captures"],
        natives=every_run("native/capture.json") if NATIVE else [],
        timings=RECORDS["timings"],
        agreements=RECORDS["agreements"],
        # Last, so that a failed run never keeps the tables from being written.
        tables=[
            "results/tables/runs.md",
            "results/tables/recommend.md",
            "results/allocations.md",
            "results/findings.md",
            "results/report.html",
            "results/README.md",
        ],
    output:
        "results/verdict.txt",
    log:
        "results/logs/verdict.log",
    localrule: True
    conda:
        "../envs/somaray.yaml"
    script:
        "../scripts/give_verdict.py"
