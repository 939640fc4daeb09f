"""Markdown of a comparison as a piece of a page."""

import html
import re

from somaray.report.compare.comparison import compare_sides
from somaray.report.compare.sides import RunResults, Side
from somaray.report.html.comparison_section import comparison_section, markdown_html
from somaray.report.markdown import escape, table
from somaray.report.rows import run_of
from support.made_records import execution

HOSTILE = "<img src=x onerror=\"document.title='broken'\"> **a** [b](c) `d` &amp;"


def test_tables_are_regions_named_by_the_heading_above_with_numbers_to_the_right() -> None:
    found = markdown_html(f"## One <b>\n\n{table(['a', 'b'], [['x', '1']])}\n## Two\n\n{table(['c'], [['y']])}")
    assert re.findall(r'role="region" aria-label="([^"]+)"', found) == ["One &lt;b&gt;", "Two"]
    assert '<td class="number">1</td>' in found
    assert "<td>x</td>" in found
    assert found.count("</table></div>") == 2
    assert "style=" not in found


def test_hostile_names_stay_text() -> None:
    found = str(markdown_html(f"# {escape(HOSTILE)}\n\n{HOSTILE}\n\n{table(['a'], [[escape(HOSTILE)]])}"))
    assert "<img" not in found
    # A heading and a cell, which were escaped, are as they were.
    assert html.unescape(found).count(HOSTILE) == 2


def test_a_comparison_is_told_whole_or_why_there_is_none() -> None:
    captures = [execution(20.0, None), execution(None, None, status="failed", reason="no")]
    own, other = (RunResults(run_of(capture), capture, ()) for capture in captures)
    found = comparison_section(compare_sides(Side("a", {"r": own}), Side("b", {"r": other})))
    assert "1 run compared: 1 worse than allowed." in found
    assert "<h1>" not in found
    assert comparison_section("no <run>") == '<p class="bad">no &lt;run&gt;</p>'
