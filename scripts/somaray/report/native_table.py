"""What `<stack trace unavailable>` was, from the capture with native traces, as Markdown."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from somaray.allocations.native_record import NativeAllocations, NativePlace, NativeProcess
from somaray.report.allocation_list import NO_STACK, code_span
from somaray.report.markdown import escape, table
from somaray.units import format_bytes

TOP = 8
"""Native functions listed, the largest by bytes allocated."""


def native_section(native: NativeAllocations) -> str:
    """Say what the nameless allocations of a run were: a table of kinds, driver beside workers, and the largest functions."""
    read = [process for process in native.processes if process.capture_status != "unreadable"]
    title = f"\n#### Without a Python frame\n\n{code_span(NO_STACK)} by native function, from a capture of its own:\n"
    if not read:
        outcome = native.status if not native.reason else f"{native.status} ({native.reason})"
        return f"{title}\nNothing was captured: {escape(outcome)}.\n"
    sides = {
        "driver": [process for process in read if process.role != "worker"],
        "workers": [process for process in read if process.role == "worker"],
    }
    sides = {name: processes for name, processes in sides.items() if processes}
    header = [f"{name.capitalize()}, {what}" for name in sides for what in ("allocated in all", "held at the peak")]
    return "\n".join(
        [
            title,
            table(["Kind", *header], _kinds(sides.values())),
            table(
                ["Native function", "Library", "Kind", "Allocated in all", "Held at the peak"], _functions(read), left=3
            ),
            _named(read) + "\n",
        ]
    )


def _kinds(sides: Iterable[Sequence[NativeProcess]]) -> list[list[str]]:
    sides = list(sides)
    names = dict.fromkeys(group.name for side in sides for process in side for group in process.groups)
    rows = []
    for name in names:
        sums = [
            sum(getattr(group, number) for process in side for group in process.groups if group.name == name)
            for side in sides
            for number in ("total_bytes", "held_bytes")
        ]
        if any(sums):
            rows.append([name, *map(format_bytes, sums)])
    sums = [
        sum(getattr(process, number) for process in side)
        for side in sides
        for number in ("nameless_total_bytes", "nameless_held_bytes")
    ]
    return [*rows, ["**all**", *map(format_bytes, sums)]]


def _functions(processes: Iterable[NativeProcess]) -> list[list[str]]:
    same: dict[tuple[str, str, str], list[NativePlace]] = defaultdict(list)
    for process in processes:
        for place in process.places:
            same[place.symbol or "", place.library or "", place.group].append(place)
    sums = {key: (sum(p.total_bytes for p in of), sum(p.held_bytes for p in of)) for key, of in same.items()}
    largest = sorted(sums, key=lambda key: (-sums[key][0], key))[:TOP]
    return [
        [
            code_span(symbol).replace("|", r"\|") if symbol else "no symbol",
            escape(library),
            group,
            *map(format_bytes, sums[key]),
        ]
        for key in largest
        for symbol, library, group in [key]
    ]


def _named(processes: Sequence[NativeProcess]) -> str:
    total_bytes = sum(process.nameless_total_bytes for process in processes)
    named_bytes = sum(process.named_total_bytes for process in processes)
    if not total_bytes:
        return "Nothing was allocated without a Python frame."
    return (
        f"{named_bytes / total_bytes:.1%} of {format_bytes(total_bytes)} without a Python frame got a name. Walking native "
        "stacks slows a run down: the numbers are those of that capture, near those above and not the same."
    )
