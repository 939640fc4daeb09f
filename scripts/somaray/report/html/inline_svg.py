"""Figures inside a page: in the page's colours, without clashing ids, and told to screen readers."""

import re

from markupsafe import Markup, escape

from somaray.report.figures.style import GRID, INK, MUTED, PAPER

_COLOURS = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)", PAPER: "var(--paper)"}


def inline_svg(svg: str, prefix: str, title: str) -> Markup:
    """Turn a figure's file into a piece of a page.

    Parameters
    ----------
    prefix
        Put before every id, so that two figures on a page share none.
    title
        What the figure shows, for those who do not see it.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, count=1, flags=re.DOTALL)
    width_points = float(re.search(r'viewBox="0 0 ([\d.]+)', body)[1])  # type: ignore[index]
    for _ in ("width", "height"):
        body = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r"url\(#", f"url(#{prefix}-", body)
    body = re.sub(r'href="#', f'href="#{prefix}-', body)
    for colour, variable in _COLOURS.items():
        body = body.replace(colour, variable)
    return Markup(
        body.replace("<svg", f'<svg role="img" aria-label="{escape(title)}" style="{_size(width_points)}"', 1)
    )


def _size(width_points: float) -> str:
    """As wide as there is room, between where its text can just be read and where it is larger than the page's."""
    return f"min-width: {width_points:.0f}px; max-width: {1.7 * width_points:.0f}px"
