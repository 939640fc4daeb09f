"""All rules, in the order their findings are told."""

from collections.abc import Callable

import somaray.report.findings.measurement as measurement
import somaray.report.findings.memory as memory
import somaray.report.findings.reading as reading
import somaray.report.findings.work as work
from somaray.report.findings.scope import Finding, Records, Scope, scopes

Rule = Callable[[Scope], Finding | None]

RULES: tuple[Rule, ...] = (
    memory.over_budget,
    memory.obs_buffers,
    memory.untouched,
    memory.worker_above_others,
    reading.read_again,
    work.spilled_or_paused,
    work.lost_workers,
    work.more_threads_than_cores,
    work.fewer_chunks_than_threads,
    work.idle_threads,
    work.slow_start,
    work.large_graph,
    measurement.missed_spike,
    measurement.slow_capture,
    measurement.replicates_differ,
)
"""Each takes all runs of a method on a dataset and gives one finding or None."""


def find(records: Records) -> list[Finding]:
    """Apply every rule to every method on every dataset.

    Returns
    -------
    Findings in the order of `RULES`, those of one rule by dataset and method.
    """
    found = scopes(records)
    return [finding for rule in RULES for scope in found if (finding := rule(scope)) is not None]
