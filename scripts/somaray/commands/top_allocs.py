"""`somaray top-allocs`: the lines of a capture that allocated most."""

import argparse
from typing import Any

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
    from somaray.errors import SomarayError
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


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number
