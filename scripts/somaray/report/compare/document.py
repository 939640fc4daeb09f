"""A comparison as Markdown, and its figures as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import groupby

from somaray.report.compare.comparison import Comparison
from somaray.report.compare.figures import FIGURES, FigureChange
from somaray.report.compare.moves import Move
from somaray.report.compare.replicates import LEVEL
from somaray.report.markdown import escape, table
from somaray.units import format_bytes, significant

NONE = "–"

TOP = 5
"""Places a run and process that are listed."""

_VERDICTS = {
    "time": {"more": "slower", "less": "faster"},
    "memory": {"more": "more", "less": "less"},
    "heap": {"more": "more", "less": "less"},
}

CSV_COLUMNS = (
    "run figure replicates_a replicates_b a b ratio ratio_low ratio_high difference p_value verdict alarm".split()
)
"""Columns of the CSV; `a`, `b` and `difference` are in the unit that the figure's name ends in. An empty field is not known."""


def comparison_markdown(comparison: Comparison, top: int = TOP, heading: str = "#") -> str:
    """Write the whole comparison: the answer first, then figures, phases, memory, results, and what it was measured with.

    Parameters
    ----------
    top
        Places listed a run and process, those that differ most.
    heading
        Marks of the first heading; `##` makes the comparison a section of a longer document.
    """
    parts = [
        f"{heading} Comparison\n",
        f"**A**: {escape(comparison.a.name)}  \n**B**: {escape(comparison.b.name)}\n",
        _answer(comparison),
        *_figure_sections(comparison, heading),
        _moves_section(f"{heading}# Phases", comparison.phases, ["phase"], None),
        _moves_section(f"{heading}# What was allocated for", comparison.groups, ["process", "kind of work"], None),
        _moves_section(f"{heading}# Places", comparison.places, ["process", "place"], top),
        _genes_section(comparison, heading),
        _statuses_section(comparison, heading),
        _differences_section(comparison, heading),
        _runs_section(comparison, heading),
        _how_to_read(comparison, heading),
    ]
    return "\n".join(part for part in parts if part)


def alarm_lines(comparison: Comparison) -> list[str]:
    """Say each alarm in one line, plain text."""
    lines = [
        f"{change.match}: {change.figure.title}: {_value(change, change.change.a)} became {_value(change, change.change.b)} "
        f"(× {_ratio(change.change.ratio)})"
        for change in comparison.figure_alarms
    ]
    lines += [f"{change.match}: other genes: {change.note}" for change in comparison.gene_alarms]
    return lines + [f"{change.match}: {change.a} became {change.b}" for change in comparison.status_alarms]


def comparison_csv(comparison: Comparison) -> str:
    """Write a line a run and figure, plain numbers."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for own in comparison.figures:
        change = own.change
        numbers = [change.a, change.b, change.ratio, change.low, change.high, change.difference, own.p_value]
        texts = ["" if number is None else f"{number:.10g}" for number in numbers]
        writer.writerow(
            [own.match, own.figure.name, own.n_a, own.n_b, *texts, own.verdict, "yes" if own.alarm else "no"]
        )
    return stream.getvalue()


def _answer(comparison: Comparison) -> str:
    alarms = alarm_lines(comparison)
    n_runs = len(comparison.matched)
    said = f"{n_runs} {'run' if n_runs == 1 else 'runs'} compared: "
    lines = [f"**{said}{len(alarms)} worse than allowed.**\n" if alarms else f"**{said}nothing worse than allowed.**\n"]
    if alarms:
        lines += [*(f"- {escape(line)}" for line in alarms), ""]
    better = [own for own in comparison.figures if own.figure.guarded and own.verdict == "less"]
    remarks = [f"**Careful: {escape(warning)}.**" for warning in comparison.warnings]
    if better:
        remarks.append(f"Better: {', '.join(escape(f'{own.match} ({own.figure.title})') for own in better)}.")
    if comparison.untold:
        remarks.append(f"Too few replicates to tell: {', '.join(map(escape, comparison.untold))}.")
    if remarks:
        lines += [*(f"- {remark}" for remark in remarks), ""]
    return "\n".join(lines)


def _figure_sections(comparison: Comparison, heading: str) -> list[str]:
    parts = []
    for figure in FIGURES:
        own = [change for change in comparison.figures if change.figure is figure]
        if not own:
            continue
        header = ["run", "verdict", "replicates", "A", "B", "B ÷ A", f"{LEVEL:.0%} interval", "B − A"]
        parts += [f"{heading}# {figure.title}\n", table(header, map(_figure_cells, own), left=2)]
    return parts


def _figure_cells(own: FigureChange) -> list[str]:
    change = own.change
    verdict = _VERDICTS[own.figure.kind].get(own.verdict, own.verdict)
    interval = NONE
    if change.low is not None and change.high is not None:
        interval = f"{_ratio(change.low)}–{_ratio(change.high)}"
    return [
        escape(own.match),
        f"**{verdict}**" if own.alarm else verdict,
        f"{own.n_a}, {own.n_b}",
        _value(own, change.a),
        _value(own, change.b),
        _ratio(change.ratio),
        interval,
        _signed(own.figure.kind != "time", change.difference),
    ]


def _value(own: FigureChange, value: float) -> str:
    return _number(own.figure.kind != "time", value)


def _number(is_bytes: bool, value: float | None) -> str:
    if value is None:
        return NONE
    return format_bytes(value) if is_bytes else f"{significant(value, 3)} s"


def _signed(is_bytes: bool, value: float) -> str:
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return f"{sign}{_number(is_bytes, abs(value))}"


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else significant(ratio, 3)


def _moves_section(title: str, moves: Sequence[Move], columns: Sequence[str], top: int | None) -> str:
    if not moves:
        return ""
    listed: list[Move] = []
    left_out = 0
    for _, group in groupby(moves, key=lambda move: move.match):
        own = list(group)
        for process in dict.fromkeys(move.process for move in own):
            of_process = [move for move in own if move.process == process]
            listed += of_process[:top]
            left_out += len(of_process) - len(of_process[:top])
    header = ["run", *columns, "change", "bytes", "A", "B", "B − A"]
    is_bytes = listed[0].measure != "seconds"
    if not is_bytes:
        header.remove("bytes")
    rows = (
        [
            escape(move.match),
            *([move.process] if "process" in columns else []),
            escape(move.what),
            move.how,
            *([_BYTES[move.measure]] if is_bytes else []),
            _number(is_bytes, move.a),
            _number(is_bytes, move.b),
            _signed(is_bytes, move.difference),
        ]
        for move in listed
    )
    text = f"{title}\n\n{table(header, rows, left=len(columns) + (3 if is_bytes else 2))}"
    return text + (f"\n{left_out} smaller moves are not listed.\n" if left_out else "")


_BYTES = {"held": "held at the heap's peak", "total": "allocated in all"}


def _genes_section(comparison: Comparison, heading: str) -> str:
    if not comparison.genes:
        return ""
    changed = [change for change in comparison.genes if not change.same]
    n_same = len(comparison.genes) - len(changed)
    said = f"{n_same} of {len(comparison.genes)} runs pick the same genes with the same scores.\n"
    rows = [
        [
            escape(change.match),
            f"{escape(change.note)}{', as expected with other settings or cells' if change.expected else ''}",
            f"{change.selected_a:,}",
            f"{change.selected_b:,}",
            f"{change.in_common:,}",
            NONE if change.largest_difference is None else f"{change.largest_difference:.1e}",
        ]
        for change in changed
    ]
    header = ["run", "difference", "genes in A", "genes in B", "in common", "largest difference"]
    return "\n".join([f"{heading}# Genes\n", said, *([table(header, rows, left=2)] if rows else [])])


def _statuses_section(comparison: Comparison, heading: str) -> str:
    if not comparison.statuses:
        return ""
    rows = ([escape(change.match), escape(change.a), escape(change.b)] for change in comparison.statuses)
    return f"{heading}# How runs ended\n\n{table(['run', 'A', 'B'], rows, left=3)}"


def _differences_section(comparison: Comparison, heading: str) -> str:
    if not comparison.differences:
        return f"{heading}# Measured with\n\nThe same host, versions and settings.\n"
    n_runs = len(comparison.matched)
    rows = (
        [
            escape(difference.what),
            escape(difference.a) or NONE,
            escape(difference.b) or NONE,
            "all" if len(difference.matches) == n_runs else ", ".join(map(escape, difference.matches)),
        ]
        for difference in comparison.differences
    )
    return f"{heading}# Measured with\n\n{table(['what differs', 'A', 'B', 'runs'], rows, left=4)}"


def _runs_section(comparison: Comparison, heading: str) -> str:
    lists: Iterable[tuple[str, Sequence[str]]] = (
        ("Only in A", comparison.only_a),
        ("Only in B", comparison.only_b),
        ("On disk in A, in its tables no more", comparison.a.left_out),
        ("On disk in B, in its tables no more", comparison.b.left_out),
    )
    lines = [f"- {title}: {', '.join(map(escape, names))}" for title, names in lists if names]
    return f"{heading}# Runs not compared\n\n" + "\n".join(lines) + "\n" if lines else ""


def _how_to_read(comparison: Comparison, heading: str) -> str:
    limits = comparison.thresholds
    heap = (
        "is told and is no alarm"
        if limits.heap_share is None
        else f"is an alarm beyond {limits.heap_share:.3g} of itself"
    )
    return (
        f"{heading}# How to read it\n\n"
        "A and B are medians of the replicates; the interval is that of their ratio, from the spread of the replicates of all "
        "runs. Slower, faster, more or less is said only of what is beyond a threshold in both ways "
        f"(time: {limits.slower_share:.3g} of itself and {significant(limits.least_seconds, 3)} s; memory: "
        f"{limits.memory_share:.3g} and {format_bytes(limits.least_bytes)}) and no chance, however many runs were looked at. "
        "*Same* is what is not beyond it, *not clear* what more replicates would decide. A heap peak is captured once, has no "
        f"interval, and {heap}. Phases, kinds of work and places are listed by the same thresholds, without an interval; a "
        "place is a function, so that lines may shift.\n"
    )
