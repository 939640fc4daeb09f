"""Pieces of Markdown that GitHub shows as meant, whatever stands in names and messages."""

import re
from collections.abc import Container, Iterable, Sequence
from urllib.parse import quote

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#&])")


def escape(text: object) -> str:
    """Keep any text as plain text inside a line or a table cell."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1, words: Container[str] = ()) -> str:
    """Write a table whose first `left` columns and those of `words` are left-aligned and the others, numbers, right-aligned.

    Cells are taken as Markdown; escape what comes from outside.
    """
    marks = [":--" if index < left or name in words else "--:" for index, name in enumerate(header)]
    lines = [header, marks, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def address(path: str) -> str:
    """Write a path as the address of a link or an image."""
    return quote(path)


def video(title: str, short: str, path: str) -> str:
    """Show a short animated picture that leads to the video, folded away."""
    picture = f"![{escape(title)}]({address(short)})"
    return f"<details><summary>Video</summary>\n\n[{picture}]({address(path)})\n\n</details>\n"


def image(title: str, path: str) -> str:
    """Show a picture; its title stands where it cannot be shown."""
    return f"![{escape(title)}]({address(path)})\n"
