"""What to use: the fastest, the leanest, the fastest that fits a budget, and the front between time and memory. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from somaray.report.rows import RunRow

GIB = 2**30

BUDGETS_BYTES = (8 * GIB, 16 * GIB, 32 * GIB, 64 * GIB)
"""Memory of machines that people have."""


@dataclass(frozen=True)
class Choice:
    """What to use on one dataset; each None where no finished run will do.

    `by_budget` maps bytes of memory to the fastest run whose largest summed PSS fits in, over all replicates.
    """

    dataset: str
    fastest: RunRow | None
    leanest: RunRow | None
    by_budget: dict[int, RunRow | None]
    n_finished: int


def is_finished(row: RunRow) -> bool:
    """Whether a row can be chosen: measured here, ended well, agrees if checked, and its time and memory are known."""
    known = row.wall_seconds.median is not None and row.peak_pss_bytes.maximum is not None
    return row.origin == "measured" and row.status == "ok" and known


def finished(rows: Iterable[RunRow]) -> list[RunRow]:
    """Keep rows that can be chosen."""
    return [row for row in rows if is_finished(row)]


def seconds_of(row: RunRow) -> float:
    """The median time of a finished row."""
    assert row.wall_seconds.median is not None
    return row.wall_seconds.median


def memory_of(row: RunRow) -> float:
    """The largest summed PSS of a finished row, over its replicates: what must fit."""
    assert row.peak_pss_bytes.maximum is not None
    return row.peak_pss_bytes.maximum


def fastest(rows: Iterable[RunRow]) -> RunRow | None:
    """Pick the finished row of the smallest median time, of equals the leaner."""
    return min(finished(rows), key=lambda row: (seconds_of(row), memory_of(row)), default=None)


def leanest(rows: Iterable[RunRow]) -> RunRow | None:
    """Pick the finished row of the smallest memory, of equals the faster."""
    return min(finished(rows), key=lambda row: (memory_of(row), seconds_of(row)), default=None)


def fastest_within(rows: Iterable[RunRow], budget_bytes: float) -> RunRow | None:
    """Pick the fastest finished row that never took more than a budget."""
    return fastest(row for row in finished(rows) if memory_of(row) <= budget_bytes)


def front(rows: Iterable[RunRow]) -> list[RunRow]:
    """Pick the rows that no other beats in both time and memory, from the fastest to the leanest."""
    best: list[RunRow] = []
    for row in sorted(finished(rows), key=lambda row: (seconds_of(row), memory_of(row))):
        if not best or memory_of(row) < memory_of(best[-1]):
            best.append(row)
    return best


def choices(rows: Sequence[RunRow], budgets_bytes: Sequence[int] = BUDGETS_BYTES) -> list[Choice]:
    """Choose for every dataset that was measured, in the order of the rows."""
    datasets = dict.fromkeys(row.run.dataset for row in rows if row.origin == "measured")
    chosen = []
    for dataset in datasets:
        own = [row for row in rows if row.run.dataset == dataset]
        by_budget = {budget: fastest_within(own, budget) for budget in budgets_bytes}
        chosen.append(Choice(dataset, fastest(own), leanest(own), by_budget, len(finished(own))))
    return chosen
