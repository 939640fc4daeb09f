"""The figures of a run that are compared, and the verdict on each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from somaray.records import Execution
from somaray.report.compare.replicates import LEVEL, Change, Pair, changes, holm
from somaray.report.compare.sides import RunResults
from somaray.report.compare.thresholds import Thresholds
from somaray.report.rows import largest_rss_bytes

Verdict = Literal["more", "less", "same", "not clear", "too few replicates to tell"]
Kind = Literal["time", "memory", "heap"]


@dataclass(frozen=True)
class Figure:
    """A number of a run.

    `values` gives its replicates, one for a heap peak. If `guarded`, it takes part in alarms.
    """

    name: str
    title: str
    kind: Kind
    guarded: bool
    values: Callable[[RunResults], list[float | None]]


def _timed(value: Callable[[Execution], float | None]) -> Callable[[RunResults], list[float | None]]:
    return lambda results: [value(timing) for timing in results.good_timings]


def _heap(role: str) -> Callable[[RunResults], list[float | None]]:
    def largest(results: RunResults) -> list[float | None]:
        processes = results.allocations.processes if results.allocations else ()
        # A capture cut short has not seen the peak.
        own = [each for each in processes if each.role == role]
        whole = all(each.capture_status == "complete" for each in own)
        return [max((each.heap_peak_bytes or 0 for each in own), default=None) if whole else None]

    return largest


FIGURES = (
    Figure("wall_seconds", "Time, all phases", "time", True, _timed(lambda timing: timing.wall_seconds)),
    Figure("peak_pss_bytes", "Peak PSS, all processes", "memory", True, _timed(lambda timing: timing.peak_pss_bytes)),
    Figure(
        "largest_worker_rss_bytes",
        "Largest worker (VmHWM)",
        "memory",
        True,
        _timed(lambda timing: largest_rss_bytes(timing, "worker")),
    ),
    Figure("hvg_seconds", "Time, HVG phase", "time", False, _timed(lambda timing: timing.phase_seconds("hvg"))),
    Figure("cpu_seconds", "CPU time", "time", False, _timed(lambda timing: timing.cpu_seconds)),
    Figure("driver_heap_peak_bytes", "Heap peak, driver", "heap", True, _heap("driver")),
    Figure("worker_heap_peak_bytes", "Heap peak, largest worker", "heap", True, _heap("worker")),
)
"""In the order they are told. Only guarded ones are corrected for their number: of others nothing follows."""


@dataclass(frozen=True)
class FigureChange:
    """How one figure of one run changed; `p_value` is corrected for the number of verdicts, None where none was possible."""

    figure: Figure
    match: str
    n_a: int
    n_b: int
    change: Change
    p_value: float | None
    verdict: Verdict
    alarm: bool


def figure_changes(
    pairs: Mapping[str, tuple[RunResults, RunResults]], thresholds: Thresholds
) -> tuple[FigureChange, ...]:
    """Compare every figure of every pair of runs that both sides have."""
    found: list[tuple[Figure, str, Pair, Change]] = []
    for figure in FIGURES:
        known = {match: _pair(figure, *sides) for match, sides in pairs.items()}
        both = {match: pair for match, pair in known.items() if pair is not None}
        found += [
            (figure, match, pair, change)
            for (match, pair), change in zip(both.items(), changes(list(both.values())), strict=True)
        ]
    corrected = _corrected([(figure, change) for figure, _, _, change in found])
    return tuple(
        _judge(figure, match, pair, change, p_value, thresholds)
        for (figure, match, pair, change), p_value in zip(found, corrected, strict=True)
    )


def _pair(figure: Figure, a: RunResults, b: RunResults) -> Pair | None:
    # A figure of 0 has no ratio: no worker, no such phase, nothing captured.
    known = [tuple(value for value in figure.values(side) if value) for side in (a, b)]
    return Pair(*known) if all(known) else None


def _corrected(found: Sequence[tuple[Figure, Change]]) -> list[float | None]:
    guarded = [index for index, (figure, change) in enumerate(found) if figure.guarded and change.tells]
    p_values: list[float | None] = [change.p_value for _, change in found]
    for index, p_value in zip(guarded, holm([found[index][1].p_value or 0.0 for index in guarded]), strict=True):
        p_values[index] = p_value
    return p_values


def _judge(
    figure: Figure, match: str, pair: Pair, change: Change, p_value: float | None, thresholds: Thresholds
) -> FigureChange:
    share, least = {
        "time": (thresholds.slower_share, thresholds.least_seconds),
        "memory": (thresholds.memory_share, thresholds.least_bytes),
        "heap": (thresholds.memory_share if thresholds.heap_share is None else thresholds.heap_share, thresholds.least_bytes),
    }[figure.kind]  # fmt: skip
    verdict = _verdict(figure, change, p_value, 1 + share, least)
    guarded = figure.guarded and (figure.kind != "heap" or thresholds.heap_share is not None)
    return FigureChange(
        figure, match, len(pair.a), len(pair.b), change, p_value, verdict, alarm=guarded and verdict == "more"
    )


def _verdict(figure: Figure, change: Change, p_value: float | None, factor: float, least: float) -> Verdict:
    beyond = abs(change.difference) >= least and not 1 / factor <= change.ratio <= factor
    if figure.kind != "heap":
        if p_value is None or change.low is None or change.high is None:
            return "too few replicates to tell"
        if not beyond or p_value > 1 - LEVEL:
            far = change.low < 1 / factor or change.high > factor
            # What the interval still allows, in the figure's own unit.
            possible = max(abs(1 - change.low), abs(change.high - 1)) * change.a
            return "not clear" if far and possible >= least else "same"
    if not beyond:
        return "same"
    return "more" if change.ratio > 1 else "less"
