"""What a process's resident memory belonged to near its heap's peak, as a line of text for each process."""

from collections.abc import Sequence

from somaray.records import ProcessAllocations
from somaray.report.markdown import escape
from somaray.units import format_bytes, format_seconds

NEAR_THE_PEAK = 0.95
"""Share of the heap's peak from which a look at resident memory counts as taken at the peak."""


def resident_lines(processes: Sequence[ProcessAllocations], names: Sequence[str]) -> str:
    """One line for each process: the parts its resident memory is made of, the remainder too; or why they are unknown."""
    lines = [
        f"- {escape(name)}: {_parts(process)}"
        for name, process in zip(names, processes, strict=True)
        if process.capture_status != "unreadable"
    ]
    return (
        "Resident memory near the heap's peak, by what it belonged to:\n\n" + "\n".join(lines) + "\n" if lines else ""
    )


def share_of_peak(process: ProcessAllocations) -> float | None:
    """How much of its heap's peak was alive when a process's pages were looked at; None where they were not."""
    if process.residency is None or not process.heap_peak_bytes:
        return None
    return process.residency.alive_bytes / process.heap_peak_bytes


def _parts(process: ProcessAllocations) -> str:
    found = process.residency
    if found is None:
        return f"unknown: {escape(process.residency_note or 'not recorded')}."
    share = share_of_peak(process)
    moment = (
        "" if share is None or share >= NEAR_THE_PEAK else f" (when no more than {share:.0%} of its peak was alive)"
    )
    parts = [
        f"{format_bytes(found.resident_bytes)} of {format_bytes(found.alive_bytes)} allocated and alive{moment}",
        *(f"{name} {_signed(size_bytes)}" for name, size_bytes in found.other.items()),
        f"remainder {_signed(found.remainder_bytes)}",
    ]
    looks = f"{found.n_snapshots} look{'s' * (found.n_snapshots != 1)}, {format_seconds(found.paused_seconds)} stopped in all"
    return (
        f"{format_bytes(found.rss_bytes)} = {'; '.join(parts)}. Taken after {format_seconds(found.seconds)}; {looks}."
    )


def _signed(size_bytes: int) -> str:
    return format_bytes(size_bytes) if size_bytes >= 0 else f"−{format_bytes(-size_bytes)}"
