"""The `somaray` command. A subcommand is one function that adds its parser, listed in `COMMANDS`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from somaray.commands.compare import add_compare
from somaray.commands.methods import add_methods
from somaray.commands.plan import add_plan
from somaray.commands.processes import add_processes
from somaray.commands.recommend import add_recommend
from somaray.commands.top_allocs import add_top_allocs
from somaray.errors import SomarayError

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


if __name__ == "__main__":
    sys.exit(main())
