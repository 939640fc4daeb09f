"""How figures are written on a page: short text for people, plain numbers to sort by."""

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

from somaray.report.rows import Spread
from somaray.units import format_bytes, format_seconds, significant

NONE = "–"


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what is shown, what it sorts by (None last), and where it leads."""

    text: str
    order: float | str | None = None
    href: str = ""
    bad: bool = False
    number: bool = True

    @property
    def found_by(self) -> str:
        """What a filter looks at. DataTables takes it for HTML, so that no angle bracket may be in it."""
        return " ".join(self.text.split()).translate(_NO_TAGS)


_NO_TAGS = str.maketrans("<>", "\u2039\u203a")


def text_cell(text: object, href: str = "", *, bad: bool = False) -> Cell:
    """A cell of words."""
    return Cell(str(text), str(text), href, bad, number=False)


def number_cell(value: float | None, text: str | None = None) -> Cell:
    """A cell of a number; `text` is how it is written."""
    if value is None:
        return Cell(NONE)
    return Cell(f"{value:,}" if text is None else text, value)


def bytes_cell(value: float | None) -> Cell:
    """A cell of bytes."""
    return number_cell(value, None if value is None else bytes_text(value))


def seconds_cell(spread: Spread) -> Cell:
    """A cell of seconds: the median, with the range where there is one."""
    return number_cell(spread.median, spread_text(spread))


def bytes_text(value: float | None) -> str:
    """Write bytes; a minus for those that were given back by another."""
    if value is None:
        return NONE
    return format_bytes(value) if value >= 0 else f"−{format_bytes(-value)}"


def spread_text(spread: Spread) -> str:
    """Write `11 (10–14)`."""
    if spread.median is None or spread.minimum is None or spread.maximum is None:
        return NONE
    if spread.minimum == spread.maximum:
        return significant(spread.median, 3)
    return f"{significant(spread.median, 3)} ({significant(spread.minimum, 3)}–{significant(spread.maximum, 3)})"


def seconds_text(value: float | None) -> str:
    """Write a duration."""
    return NONE if value is None else format_seconds(value)


def speed_text(value: float | None) -> str:
    """Write cells a second with three significant digits."""
    return NONE if value is None else f"{float(f'{value:.3g}'):,.0f}"


def with_code(text: str) -> Markup:
    """Turn plain text with code between backticks into a piece of a page."""
    parts = re.split(r"`([^`]+)`", text)
    pieces = [Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)]
    return Markup("").join(pieces)
