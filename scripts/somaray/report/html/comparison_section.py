"""What changed since other results, as a section of the report: the Markdown of `somaray compare`, as HTML."""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from somaray.report.compare.comparison import Comparison
from somaray.report.compare.document import comparison_markdown

_ALIGNED_RIGHT = "text-align:right"


def comparison_section(comparison: Comparison | str) -> Markup:
    """Turn a comparison, or the reason why there is none, into the section's content below its heading."""
    if isinstance(comparison, str):
        return Markup('<p class="bad">{}</p>').format(comparison)
    text = comparison_markdown(comparison, heading="##")
    # The page has a heading of its own.
    return markdown_html(text.partition("\n")[2])


def markdown_html(text: str) -> Markup:
    """Turn Markdown with tables into HTML as the page has it; HTML within it stays text.

    A table is a region that scrolls by itself, named after the heading above it, and its numbers stand to the right.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if token.attrs.pop("style", "") == _ALIGNED_RIGHT:
            token.attrs["class"] = "number"
    html = parser.renderer.render(tokens, parser.options, {})
    titles = iter(_titles_of_tables(tokens))
    opened = '<div class="scroll" role="region" aria-label="{}" tabindex="0"><table>'
    html = re.sub("<table>", lambda _: opened.format(escape(next(titles))), html)
    return Markup(html.replace("</table>", "</table></div>"))


def _titles_of_tables(tokens: Sequence[Token]) -> list[str]:
    found, heading = [], ""
    for token, content in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and content is not None:
            heading = content.content
        elif token.type == "table_open":
            found.append(heading)
    return found
