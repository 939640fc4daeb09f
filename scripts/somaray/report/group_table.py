"""What each kind of work of a run asked for, driver and workers beside each other, as a Markdown table."""

from collections.abc import Iterable, Sequence

from somaray.grouped import GroupBytes
from somaray.records import ProcessAllocations
from somaray.report.markdown import table
from somaray.units import format_bytes


def group_table(processes: Sequence[ProcessAllocations]) -> str:
    """One row a group that has any bytes, the sums last; empty where no capture was grouped.

    Workers are summed; what each held is at its own heap's peak.
    """
    sides = {
        "driver": [process.groups for process in processes if process.role != "worker" and process.groups],
        "workers": [process.groups for process in processes if process.role == "worker" and process.groups],
    }
    sides = {name: captures for name, captures in sides.items() if captures}
    if not sides:
        return ""
    names = list(dict.fromkeys(group.name for captures in sides.values() for groups in captures for group in groups))
    rows = [[name, *_cells(sides.values(), name)] for name in names]
    rows = [row for row in rows if set(row[1:]) - {"0 B", "unknown"}]
    rows.append(["**all**", *_cells(sides.values(), None)])
    numbers = [f"{of}, {what}" for of in sides for what in ("allocated in all", "held at the peak", "resident then")]
    return "What was allocated for:\n\n" + table(["Work", *(f"{n[0].upper()}{n[1:]}" for n in numbers)], rows)


def _cells(sides: Iterable[Sequence[Sequence[GroupBytes]]], name: str | None) -> list[str]:
    cells = []
    for captures in sides:
        groups = [group for capture in captures for group in capture if name is None or group.name == name]
        for number in ("total_bytes", "held_bytes", "resident_bytes"):
            sizes = [getattr(group, number) for group in groups]
            cells.append("unknown" if None in sizes else _signed(sum(sizes)))
    return cells


def _signed(size_bytes: int) -> str:
    return format_bytes(size_bytes) if size_bytes >= 0 else f"−{format_bytes(-size_bytes)}"
