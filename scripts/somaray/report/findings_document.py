"""`results/findings.md`: findings by what they are about, each with its numbers and what to do."""

import re
from collections.abc import Sequence
from itertools import groupby

from somaray.records import Execution
from somaray.report.findings import Finding
from somaray.report.markdown import escape
from somaray.report.measured_with import measured_with

INTRODUCTION = """\
What the measurements say beyond the tables, each with the numbers it rests on. A rule that found nothing says nothing. Times \
and resident memory are medians of unprofiled executions; what is *held* comes from the captures.
"""

_CODE = re.compile(r"(`[^`]+`)")


def findings_document(findings: Sequence[Finding], executions: Sequence[Execution]) -> str:
    """Write the document.

    Parameters
    ----------
    findings
        Those of one rule beside each other, as `find` gives them.
    executions
        All that were looked at, for the lines that say what was measured, and with what.
    """
    parts = ["# Findings\n", INTRODUCTION]
    if not findings:
        parts.append("No rule found anything.\n")
    for _, group in groupby(findings, key=lambda finding: finding.rule):
        same = list(group)
        parts.append(f"## {markdown(same[0].title)}\n")
        parts += [
            f"- **{escape(finding.dataset)}, {escape(finding.method)}.** {markdown(' '.join(finding.evidence))}"
            for finding in same
        ]
        parts += ["", *(f"*What to do.* {markdown(text)}\n" for text in dict.fromkeys(f.remedy for f in same))]
    parts.append(measured_with(executions))
    return "\n".join(parts)


def markdown(text: str) -> str:
    """Escape all of a finding's text but its code."""
    return "".join(part if _CODE.fullmatch(part) else escape_inline(part) for part in _CODE.split(text))


def escape_inline(text: str) -> str:
    """Escape a piece of a sentence, the spaces at its ends kept."""
    lead, trail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{lead}{escape(text)}{trail}" if text.strip() else text
