"""`somaray recommend`: the fastest setting that fits into a machine, from finished runs."""

import argparse
from pathlib import Path
from typing import Any


def add_recommend(commands: Any) -> None:
    """`somaray recommend`: what to use in how much memory, with the lines to copy."""
    parser = commands.add_parser(
        "recommend",
        help="say what to use in how much memory, with the lines to copy",
        description="From the finished runs of a results directory, print for each dataset and budget of memory the fastest "
        "setting that fits, its margin, and Python to copy, as Markdown. Settings never run that the plan says are faster are "
        "marked as predicted.",
    )
    parser.add_argument(
        "results", metavar="RESULTS", nargs="?", type=Path, default=Path("results"), help="default: %(default)s"
    )
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        action="append",
        default=[],
        help="a budget, e.g. 16GiB (repeatable; default: 8, 16, 32 and 64 GiB)",
    )
    parser.set_defaults(run=_recommend)


def _recommend(arguments: argparse.Namespace) -> None:
    from somaray.errors import SomarayError
    from somaray.report.choices import BUDGETS_BYTES
    from somaray.report.gathered_results import gather_results
    from somaray.report.recommend import recommend
    from somaray.report.recommend_document import recommend_markdown
    from somaray.units import parse_bytes

    budgets_bytes = []
    for text in arguments.memory:
        try:
            budgets_bytes.append(parse_bytes(text))
        except SomarayError as error:
            raise SomarayError(f"--memory {error}") from error
        if not budgets_bytes[-1]:
            raise SomarayError(f"--memory {text}: expected more than nothing")
    gathered = gather_results(arguments.results)
    found = recommend(gathered, budgets_bytes or BUDGETS_BYTES)
    print(recommend_markdown(found, gathered, str(arguments.results / "datasets")), end="")
