"""`somaray methods`: the methods that a configuration can name."""

import argparse
from typing import Any


def add_methods(commands: Any) -> None:
    """`somaray methods`: the methods that a configuration can name."""
    parser = commands.add_parser("methods", help="list the methods a configuration can name")
    parser.set_defaults(run=_methods)


def _methods(arguments: argparse.Namespace) -> None:
    from somaray.registry import METHODS

    for name, method in METHODS.items():
        runs = "a run a chunk size and parallelism" if method.chunked else "one run a dataset"
        print(f"{name}: {method.summary} ({runs}; {', '.join(method.flavors)})")
