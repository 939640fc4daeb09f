"""Fail if any run failed or disagrees, now that all tables are written."""

import sys
from pathlib import Path

from somaray.console import script_log
from somaray.records import Agreement, Execution, read_record
from somaray.report.verdict import failed, summary

with script_log(snakemake.log[0]) as log:
    given = snakemake.input
    executions = [read_record(path, Execution) for path in [*given.captures, *given.natives, *given.timings]]
    agreements = [read_record(path, Agreement) for path in snakemake.input.agreements]
    lines = failed(executions, agreements)
    if not lines:
        Path(snakemake.output[0]).write_text(summary(executions, agreements))
if lines:
    text = "\n".join([f"{len(lines)} failed; the next invocation tries them again:", *(f"  {line}" for line in lines)])
    Path(snakemake.log[0]).write_text(text + "\n")
    print(f"somaray: {text}", file=sys.stderr, flush=True)
    sys.exit(1)
