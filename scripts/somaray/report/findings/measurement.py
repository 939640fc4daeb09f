"""Findings about the measuring itself: what the figures of these runs can bear."""

from somaray.records import Execution, ProcessRecord
from somaray.report.findings.scope import Case, Finding, Scope, finding_of
from somaray.units import format_bytes, format_seconds

SLOW_CAPTURE = 1.5
DIFFERENT = 1.25
LEAST_SPIKE_BYTES = 100 * 2**20
LEAST_SPIKE_SHARE = 0.1


def missed_spike(scope: Scope) -> Finding | None:
    """Peaks of resident memory that fell between two samples."""
    cases = []
    for each in scope.runs:
        missed = [
            (process.peak_rss_bytes - process.sampled_rss_bytes, process, done)
            for done in each.good
            for process in done.processes
            if process.role != "other" and process.sampled_rss_bytes is not None and _is_spike(process)
        ]
        if missed:
            missed_bytes, process, done = max(missed, key=lambda found: found[0])
            cases.append(Case(each.run, missed_bytes, _spike_text(process, done)))
    remedy = (
        "The peak PSS of such a run may be too low by as much. Take VmHWM of each process, which misses nothing, "
        "as the upper bound; their sum counts shared libraries once for each process."
    )
    return finding_of(
        scope, "missed-spike", "A peak of memory between two samples", cases, "not sampled", format_bytes, remedy
    )


def _is_spike(process: ProcessRecord) -> bool:
    missed_bytes = process.peak_rss_bytes - (process.sampled_rss_bytes or 0)
    return missed_bytes >= max(LEAST_SPIKE_BYTES, LEAST_SPIKE_SHARE * process.peak_rss_bytes)


def _spike_text(process: ProcessRecord, execution: Execution) -> str:
    peak = (
        "" if execution.peak_pss_bytes is None else f"; the run's peak PSS is {format_bytes(execution.peak_pss_bytes)}"
    )
    return (
        f"{process.name} of timing {execution.replicate} had {format_bytes(process.peak_rss_bytes)} (VmHWM), its largest "
        f"sample {format_bytes(process.sampled_rss_bytes or 0)}{peak}"
    )


def slow_capture(scope: Scope) -> Finding | None:
    """Captures that took much longer than the timings."""
    cases = []
    for each in scope.runs:
        captured = each.capture.wall_seconds if each.capture and each.capture.status == "ok" else None
        timed = each.wall_seconds
        if captured and timed and captured >= SLOW_CAPTURE * timed:
            text = f"{format_seconds(captured)} under memray, {format_seconds(timed)} without"
            cases.append(Case(each.run, captured / timed, text))
    remedy = (
        "Tables take no time from captures. Yet what overlaps in time may be held together otherwise than in an unwatched run: "
        "read `held` with that in mind, and leave `profile.trace_python_allocators` off where small objects do not matter."
    )
    return finding_of(
        scope,
        "slow-capture",
        "Watching slowed the run",
        cases,
        "times as long under memray:",
        lambda ratio: f"{ratio:.1f}",
        remedy,
    )


def replicates_differ(scope: Scope) -> Finding | None:
    """Replicates of one run that differ so much that smaller differences between runs mean nothing."""
    cases = []
    for each in scope.runs:
        seconds = [done.wall_seconds for done in each.good if done.wall_seconds]
        if len(seconds) > 1 and max(seconds) >= DIFFERENT * min(seconds):
            text = f"{format_seconds(min(seconds))} to {format_seconds(max(seconds))} over {len(seconds)} replicates"
            cases.append(Case(each.run, max(seconds) / min(seconds), text))
    remedy = (
        "Something else used the machine, or the first read came from disk. Differences between runs below that are noise: "
        "raise `replicates`, or measure on a quiet host."
    )
    return finding_of(
        scope,
        "replicates-differ",
        "Replicates that differ",
        cases,
        "slowest by fastest:",
        lambda ratio: f"{ratio:.2f}",
        remedy,
    )
