"""Where a rule's script speaks: its log, and the console for what a person should see at once."""

import contextlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from somaray.errors import SomarayError


@contextlib.contextmanager
def script_log(path: str | Path) -> Iterator[TextIO]:
    """Open a rule's log for the body; a user's mistake ends the script with its message and no traceback.

    Raises
    ------
    SystemExit
        With code 1, after any exception, which is in the log whole and on the console in a line.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", buffering=1) as log:
        try:
            yield log
        except SomarayError as error:
            print(f"somaray: {error}", file=log)
            print(f"somaray: {error}", file=sys.stderr, flush=True)
            sys.exit(1)
        except Exception as error:
            traceback.print_exc(file=log)
            print(f"somaray: {type(error).__name__}: {error} (traceback in {path})", file=sys.stderr, flush=True)
            sys.exit(1)
