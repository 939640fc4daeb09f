"""`somaray processes`: the memory of every process of a run."""

import argparse
from typing import Any


def add_processes(commands: Any) -> None:
    """`somaray processes`: the memory of every process of a run."""
    parser = commands.add_parser(
        "processes",
        help="list the memory of every process of a run",
        description="List every process of a run as a Markdown table: heap peak and bytes allocated in all as memray saw them, "
        "VmHWM and peak PSS of unprofiled executions and of the capture, and how far the capture goes.",
    )
    parser.add_argument("run_dir", metavar="RUN", help="a run's directory, or DATASET/METHOD/SETTING below results/hvg")
    parser.add_argument(
        "--short", action="store_true", help="one line a process with its heap peak alone, e.g. `worker_0: 7.0G`"
    )
    parser.set_defaults(run=_processes)


def _processes(arguments: argparse.Namespace) -> None:
    from somaray.allocations.run_dir import find_run_dir, read_run
    from somaray.report.processes import process_rows, process_table, short_lines

    rows = process_rows(*read_run(find_run_dir(arguments.run_dir)))
    print(short_lines(rows) if arguments.short else process_table(rows), end="\n" if arguments.short else "")
