from snakemake.utils import min_version

min_version("9.27")


configfile: "config/datasets.yaml"
configfile: "config/config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/datasets.smk"
include: "rules/measure.smk"
include: "rules/agreement.smk"
include: "rules/allocations.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        "results/tables/runs.md",
        "results/tables/runs.csv",
        "results/tables/agreement.md",
        "results/tables/processes.md",
        "results/tables/recommend.md",
        "results/allocations.md",
        "results/findings.md",
        "results/report.html",
        "results/README.md",
        PLOTS,
        REPLAYS,
        every_run("flamegraph"),
        "results/verdict.txt",
    localrule: True
