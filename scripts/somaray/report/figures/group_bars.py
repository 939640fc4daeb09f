"""What memory was asked for, by kind of work: in all, held at the heap's peak, and resident then."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from somaray.records import Allocations, ProcessAllocations
from somaray.report.figures.style import PAGE_INCHES, PALETTE, footnote, label, new_figure, say, styled
from somaray.units import format_bytes

NUMBERS = {
    "total_bytes": ("allocated in all", PALETTE[4]),
    "held_bytes": ("held at the heap's peak", PALETTE[0]),
    "resident_bytes": ("resident then", PALETTE[1]),
}

LEAST_BYTES = 2**20
"""Where the axis begins; less than a MiB is not worth a bar."""


def group_sums(processes: Sequence[ProcessAllocations]) -> dict[str, dict[str, int | None]]:
    """Sum each number of each group over processes; None where one of them does not know it."""
    names = dict.fromkeys(group.name for process in processes for group in process.groups)
    sums: dict[str, dict[str, int | None]] = {}
    for name in names:
        own = [group for process in processes for group in process.groups if group.name == name]
        sums[name] = {}
        for number in NUMBERS:
            sizes = [getattr(group, number) for group in own]
            sums[name][number] = None if None in sizes else sum(sizes)
    return sums


def group_bars(allocations: Allocations | None) -> Figure:
    """Draw driver and workers beside each other; bytes are on a logarithmic axis, as they span a factor of thousands."""
    processes = allocations.processes if allocations else ()
    sides = {
        "driver": group_sums([process for process in processes if process.role != "worker"]),
        "workers, summed": group_sums([process for process in processes if process.role == "worker"]),
    }
    sides = {name: sums for name, sums in sides.items() if sums}
    with styled():
        if not sides:
            figure = new_figure(PAGE_INCHES, 1.2)
            say(figure.add_subplot(), "no capture was grouped")
            return figure
        names = [
            name
            for name in dict.fromkeys(name for sums in sides.values() for name in sums)
            if any((value or 0) >= LEAST_BYTES for sums in sides.values() for value in sums.get(name, {}).values())
        ]
        figure = new_figure(PAGE_INCHES, 1.1 + 0.42 * len(names))
        panels = figure.subplots(1, len(sides), sharey=True, sharex=True, squeeze=False)[0]
        for axes, (side, sums) in zip(panels, sides.items(), strict=True):
            axes.set_title(side)
            _panel(axes, names, sums)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
        footnote(figure, "Bytes asked for; only what was resident was ever RAM. Less than 1 MiB is not drawn.")
    return figure


def _panel(axes: Axes, names: Sequence[str], sums: dict[str, dict[str, int | None]]) -> None:
    axes.set_xscale("log", base=2)
    for index, (number, (title, colour)) in enumerate(NUMBERS.items()):
        at = [line + (index - 1) * 0.27 for line in range(len(names))]
        sizes = [max(sums.get(name, {}).get(number) or 0, LEAST_BYTES) for name in names]
        axes.barh(at, [size - LEAST_BYTES for size in sizes], left=LEAST_BYTES, height=0.25, color=colour, label=title)
        for y, size in zip(at, sizes, strict=True):
            if size > LEAST_BYTES:
                axes.annotate(
                    format_bytes(size), (size, y), (2, 0), textcoords="offset points", va="center", fontsize=5.5
                )
    axes.set_yticks(range(len(names)), [label(name, 34) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.22)
    axes.xaxis.set_major_locator(LogLocator(base=2, numticks=5))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_bytes(value)))
