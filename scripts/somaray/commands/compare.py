"""`somaray compare`: what changed between two sets of results, and an exit status for whoever guards against it."""

import argparse
import sys
from pathlib import Path
from typing import Any

from somaray.commands.output import write_output

WORSE = 1
"""Exit status where something is worse than allowed; 0 if nothing is, 2 for a mistake of the user's."""


def add_compare(commands: Any) -> None:
    """`somaray compare`: two sets of results, or two runs."""
    parser = commands.add_parser(
        "compare",
        help="say what changed between two sets of results",
        description="Compare two results directories run by run, or two runs' directories, and write Markdown. Something is "
        "worse than allowed if time or memory grew beyond both its share and its least difference and replicates show that it "
        "is no chance, if a run no longer ends well, or if it picks other genes.",
        epilog="Exit status: 0 if nothing is worse than allowed, 1 if something is, 2 for a mistake in what was given.",
    )
    parser.add_argument("a", metavar="A", help="results before: a results directory, or a run's own")
    parser.add_argument("b", metavar="B", help="results after, of the same kind")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write the Markdown here and not to the console"
    )
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write the figures here as CSV too")
    parser.add_argument("--max-slower", metavar="PERCENT", default="10%", help="more time allowed (default: 10%%)")
    parser.add_argument(
        "--max-memory",
        metavar="PERCENT",
        default="10%",
        help="more peak PSS, and more VmHWM of the largest worker, allowed (default: 10%%)",
    )
    parser.add_argument(
        "--max-heap",
        metavar="PERCENT",
        help="more heap peak allowed, of the one capture (default: any; its growth is told, but is not worse)",
    )
    parser.add_argument(
        "--least-time", metavar="TIME", default="100ms", help="smaller differences do not count (default: %(default)s)"
    )
    parser.add_argument(
        "--least-memory",
        metavar="SIZE",
        default="16MiB",
        help="smaller differences do not count (default: %(default)s)",
    )
    parser.add_argument(
        "--allow",
        metavar="CHANGE",
        action="append",
        default=[],
        choices=("genes", "status"),
        help="tell other genes (`genes`) or another end (`status`), but take neither for worse (repeatable)",
    )
    parser.add_argument(
        "-n", "--top", metavar="N", type=int, default=5, help="places listed a run and process (default: %(default)s)"
    )
    parser.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace) -> int:
    from somaray.report.compare.comparison import compare_sides
    from somaray.report.compare.document import alarm_lines, comparison_csv, comparison_markdown
    from somaray.report.compare.sides import read_sides
    from somaray.report.compare.thresholds import Thresholds, parse_percent
    from somaray.units import parse_bytes, parse_seconds

    thresholds = Thresholds(
        slower_share=parse_percent(arguments.max_slower, "--max-slower"),
        memory_share=parse_percent(arguments.max_memory, "--max-memory"),
        heap_share=None if arguments.max_heap is None else parse_percent(arguments.max_heap, "--max-heap"),
        least_seconds=parse_seconds(arguments.least_time),
        least_bytes=parse_bytes(arguments.least_memory),
        allow=frozenset(arguments.allow),
    )
    comparison = compare_sides(*read_sides(arguments.a, arguments.b), thresholds)
    text = comparison_markdown(comparison, max(arguments.top, 0))
    if arguments.output is None:
        print(text, end="")
    else:
        write_output(arguments.output, text)
    if arguments.csv is not None:
        write_output(arguments.csv, comparison_csv(comparison))
    for line in alarm_lines(comparison):
        print(f"somaray: worse than allowed: {line}", file=sys.stderr)
    return WORSE if comparison.n_alarms else 0
