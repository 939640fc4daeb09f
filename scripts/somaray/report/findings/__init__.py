"""Findings: what the records of all runs say that is worth a sentence, with its numbers and what to do about it."""

from somaray.report.findings.rules import RULES, find
from somaray.report.findings.scope import Finding, Records

__all__ = ["RULES", "Finding", "Records", "find"]
