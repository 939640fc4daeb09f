"""Pieces of Markdown that GitHub shows as meant, whatever stands in names and messages."""

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#])")


def escape(text: object) -> str:
    """Keep any text as plain text inside a line or a table cell."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Write a table whose first `left` columns are left-aligned and the others, numbers, right-aligned.

    Cells are taken as Markdown; escape what comes from outside.
    """
    lines = [header, [":--" if index < left else "--:" for index in range(len(header))], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
