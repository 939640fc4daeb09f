"""Write the tables of runs, of agreement and of processes."""

from pathlib import Path

from somaray.allocations.foreign import read_foreign
from somaray.console import script_log
from somaray.records import Agreement, Allocations, Execution, Manifest, read_record
from somaray.report.processes import processes_markdown
from somaray.report.rows import build_rows
from somaray.report.tables import agreement_markdown, runs_csv, runs_markdown

given, output = snakemake.input, snakemake.output
with script_log(snakemake.log[0]):
    captures = [read_record(path, Execution) for path in given.captures]
    timings = [read_record(path, Execution) for path in given.timings]
    agreements = [read_record(path, Agreement) for path in given.agreements]
    allocations = [read_record(path, Allocations) for path in given.allocations]
    rows = build_rows(
        [read_record(path, Manifest) for path in given.manifests],
        captures,
        timings,
        allocations,
        agreements,
        [read_foreign(path) for path in given.imported],
    )
    Path(output.runs).write_text(runs_markdown(rows, timings, plots="../plots"))
    Path(output.csv).write_text(runs_csv(rows))
    Path(output.agreement).write_text(agreement_markdown(agreements, timings))
    Path(output.processes).write_text(processes_markdown(captures, timings, allocations))
