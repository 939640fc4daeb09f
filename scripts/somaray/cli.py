"""The `somaray` command. A subcommand is one function that adds its parser, listed in `COMMANDS`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from somaray.commands.plan import add_plan
from somaray.commands.recommend import add_recommend
from somaray.errors import SomarayError
from somaray.report.compare.command import add_compare

DEFAULT_TOP = 5


def add_top_allocs(commands: Any) -> None:
    """`somaray top-allocs`: the lines that allocated most."""
    parser = commands.add_parser(
        "top-allocs",
        help="list the source lines that allocated most",
        description="List the source lines that allocated most, as Markdown with links. 'Allocated in all' counts every byte "
        "ever allocated there, however soon it was freed; 'held at the heap's peak' what was alive at the moment the "
        "process's heap was largest. Both are bytes asked for, not bytes of RAM. A foreign record knows totals alone: its "
        "numbers stand bare.",
    )
    parser.add_argument(
        "-m",
        "--memray",
        metavar="FILE",
        required=True,
        help="a memray capture (*.bin), a run's directory, allocations.json or capture.json, or a record of TileDB-SOMA's "
        "own HVG profiling (*.json)",
    )
    parser.add_argument(
        "-n", "--top", metavar="N", type=_positive, default=DEFAULT_TOP, help="lines a process (default: %(default)s)"
    )
    parser.add_argument(
        "--by",
        choices=("total", "held", "resident"),
        default="total",
        help="which bytes rank the lines (default: %(default)s)",
    )
    parser.add_argument("--process", metavar="NAME", help="one process alone, e.g. driver or worker-0")
    parser.add_argument(
        "--ref",
        metavar="PACKAGE=REF",
        action="append",
        default=[],
        help="link a package's lines at this git ref; without it, at the release recorded with the capture (repeatable)",
    )
    parser.set_defaults(run=_top_allocs)


def _top_allocs(arguments: argparse.Namespace) -> None:
    from somaray.allocations.listing import read_listing
    from somaray.allocations.places import Links, parse_refs
    from somaray.report.allocation_list import process_lists

    refs = parse_refs(arguments.ref)
    listing = read_listing(arguments.memray)
    links = Links(listing.versions, refs)
    processes = listing.processes
    if arguments.process is not None:
        processes = tuple(process for process in processes if process.name == arguments.process)
        if not processes:
            names = ", ".join(process.name for process in listing.processes)
            raise SomarayError(f"--process {arguments.process}: {arguments.memray} holds {names}")
    print(process_lists(processes, links, arguments.top, arguments.by))


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


def add_methods(commands: Any) -> None:
    """`somaray methods`: the methods that a configuration can name."""
    parser = commands.add_parser("methods", help="list the methods a configuration can name")
    parser.set_defaults(run=_methods)


def _methods(arguments: argparse.Namespace) -> None:
    from somaray.registry import METHODS

    for name, method in METHODS.items():
        runs = "a run a chunk size and parallelism" if method.chunked else "one run a dataset"
        print(f"{name}: {method.summary} ({runs}; {', '.join(method.flavors)})")


COMMANDS: tuple[Callable[[Any], None], ...] = (
    add_plan,
    add_recommend,
    add_top_allocs,
    add_processes,
    add_compare,
    add_methods,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, whose exit status is 0 unless it says otherwise; a user's mistake is one line on stderr and status 2."""
    parser = argparse.ArgumentParser(
        prog="somaray",
        description="Where time and memory go when Scanpy picks highly variable genes out of core on TileDB-SOMA.",
    )
    parser.add_argument("--version", action="version", version=f"somaray {metadata.version('somaray')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_command in COMMANDS:
        add_command(commands)
    arguments = parser.parse_args(argv)
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
    except SomarayError as error:
        print(f"somaray: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader went away, as `head` does; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return int(status or 0)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
