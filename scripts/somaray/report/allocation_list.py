"""The list of top allocations in Markdown, as the notes have it: a link to the line, and its bytes."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from somaray.allocations.listing import ProcessListing
from somaray.allocations.places import Links
from somaray.records import Place
from somaray.report.markdown import escape
from somaray.units import format_bytes

By = Literal["total", "held", "resident"]

NO_STACK = "<stack trace unavailable>"


def code_span(text: str) -> str:
    """Write text as code, with as many backticks as it takes."""
    text = " ".join(text.split())
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def place_label(place: Place, links: Links, *, number: bool = False) -> str:
    """Write a place as a link to its line, or as code where there is nothing to link to.

    The notes' link names the file alone; `number` adds the line's number to its text.
    """
    if place.file is None:
        return code_span(NO_STACK)
    url = links.url(place)
    numbered = f"{place.file}:{place.line}" if place.line else place.file
    if url is None:
        return code_span(numbered)
    return f"[{escape(numbered if number else place.file)}]({url})"


def top_places(places: Iterable[Place], n: int, by: By = "total") -> list[Place]:
    """Pick the `n` largest places, by bytes ever allocated, held or resident; places of zero bytes are left out.

    Where the totals are unknown, what is held decides, and where what is resident is, none is picked by it.
    """

    def size(place: Place) -> int:
        first, second = place.total_bytes, place.held_bytes
        if by == "held":
            first, second = second, first
        if by == "resident":
            first, second = place.resident_bytes, None
        return (second if first is None else first) or 0

    return sorted((place for place in places if size(place)), key=size, reverse=True)[:n]


def bytes_text(total_bytes: int | None, held_bytes: int | None, resident_bytes: int | None = None) -> str:
    """Say which number is which; a total alone stands bare, as in the notes. Resident is told where it is known."""
    if held_bytes is None:
        return "unknown" if total_bytes is None else format_bytes(total_bytes)
    held = f"{format_bytes(held_bytes)} held at the heap's peak"
    if resident_bytes is not None:
        held += f", {format_bytes(resident_bytes)} resident then"
    return held if total_bytes is None else f"{format_bytes(total_bytes)} allocated in all, {held}"


def allocation_lines(places: Iterable[Place], links: Links, top: int, by: By = "total") -> list[str]:
    """One line for each of the largest places."""
    return [
        f"- {place_label(place, links)}: {bytes_text(place.total_bytes, place.held_bytes, place.resident_bytes)}"
        for place in top_places(places, top, by)
    ]


def process_lists(processes: Sequence[ProcessListing], links: Links, top: int, by: By = "total") -> str:
    """The lists of some processes, each under a line of its own where there are several or something to remark."""
    blocks = []
    for process in processes:
        lines = allocation_lines(process.places, links, top, by)
        if len(processes) > 1 or process.remark:
            numbers = bytes_text(process.total_bytes, process.heap_peak_bytes, process.resident_bytes)
            remark = f" ({escape(process.remark)})" if process.remark else ""
            lines = [f"**{escape(process.name)}**: {numbers}{remark}", "", *lines]
        blocks.append("\n".join(lines))
    return "\n\n".join(block for block in blocks if block)
