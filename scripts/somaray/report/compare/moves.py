"""Phases, kinds of work and places in the code that appeared, vanished, grew or shrank."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from somaray.allocations.places import PACKAGES
from somaray.grouped import GroupBytes
from somaray.records import Allocations, Place, ProcessAllocations
from somaray.report.compare.sides import RunResults
from somaray.report.compare.thresholds import Thresholds

How = Literal["appeared", "vanished", "grew", "shrank"]
Bytes = Literal["held", "total"]

LEAST_SHARE = 0.01
"""Of all the process's bytes (the larger side's): a place below that is none of its top allocations."""


@dataclass(frozen=True)
class Move:
    """Something that both sides are looked through for: None where a side has none of it.

    `process` is `driver` or `workers`, whose bytes are summed, and `what` a name to show: `file function` or a kind of work.
    """

    match: str
    process: str
    what: str
    how: How
    a: float | None
    b: float | None
    measure: Literal["held", "total", "seconds"]

    @property
    def difference(self) -> float:
        """B − A, what is not there counted as 0."""
        return (self.b or 0) - (self.a or 0)


def how_moved(a: float | None, b: float | None, factor: float, least: float) -> How | None:
    """Say how a number moved; None if by less than `least`, or by no more than the factor."""
    if abs((b or 0) - (a or 0)) < least:
        return None
    if not a:
        return "appeared"
    if not b:
        return "vanished"
    if 1 / factor <= b / a <= factor:
        return None
    return "grew" if b > a else "shrank"


def phase_moves(match: str, a: RunResults, b: RunResults, thresholds: Thresholds) -> list[Move]:
    """Compare the medians of phases; replicates that lack a phase spent no time in it."""
    medians = [_phase_medians(side) for side in (a, b)]
    if not all(medians):
        return []
    names = list(dict.fromkeys(name for side in medians for name in side))
    moves = []
    for name in names:
        before, after = (side.get(name) for side in medians)
        how = how_moved(before, after, 1 + thresholds.slower_share, thresholds.least_seconds)
        if how is not None:
            moves.append(Move(match, "", name, how, before, after, "seconds"))
    return moves


def _phase_medians(results: RunResults) -> dict[str, float]:
    timings = results.good_timings
    names = dict.fromkeys(phase.name for timing in timings for phase in timing.phases)
    return {name: median(timing.phase_seconds(name) or 0.0 for timing in timings) for name in names}


def place_moves(match: str, a: RunResults, b: RunResults, thresholds: Thresholds) -> list[Move]:
    """Compare places by package, file and function, so that lines may shift between versions; largest differences first."""
    return _moves(match, a, b, thresholds, lambda process: _by_name(process.places, place_name))


def group_moves(match: str, a: RunResults, b: RunResults, thresholds: Thresholds) -> list[Move]:
    """Compare what was asked for by kind of work; largest differences first."""
    return _moves(match, a, b, thresholds, lambda process: _by_name(process.groups, lambda group: group.name))


def place_name(place: Place) -> str:
    """A place's file and function; a file of no known package by its last part alone, since machines keep it elsewhere."""
    if place.file is None:
        return "<stack trace unavailable>"
    file = place.file if place.package in PACKAGES else place.file.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{file} {place.function}" if place.function else file


_Sums = dict[str, dict[Bytes, int]]


def _by_name[T: (Place, GroupBytes)](parts: Iterable[T], name: Callable[[T], str]) -> _Sums:
    sums: _Sums = defaultdict(lambda: {"held": 0, "total": 0})
    for part in parts:
        own = sums[name(part)]
        own["held"] += part.held_bytes or 0
        own["total"] += part.total_bytes or 0
    return sums


def _moves(
    match: str,
    a: RunResults,
    b: RunResults,
    thresholds: Thresholds,
    sums_of: Callable[[ProcessAllocations], _Sums],
) -> list[Move]:
    if a.allocations is None or b.allocations is None:
        return []
    moves = []
    for process in ("driver", "workers"):
        sides = [_side(own, process, sums_of) for own in (a.allocations, b.allocations)]
        if None in sides:
            continue
        before, after = (side for side in sides if side is not None)
        factor = 1 + thresholds.memory_share
        for measure in _MEASURES:
            largest = max(sum(own[measure] for own in side.values()) for side in (before, after))
            least = max(thresholds.least_bytes, LEAST_SHARE * largest)
            for what in dict.fromkeys([*before, *after]):
                a_bytes, b_bytes = (side[what][measure] if what in side else None for side in (before, after))
                how = how_moved(a_bytes, b_bytes, factor, least)
                if how is not None:
                    moves.append(Move(match, process, what, how, a_bytes, b_bytes, measure))
    return sorted(moves, key=lambda move: -abs(move.difference))


_MEASURES: tuple[Bytes, ...] = ("held", "total")


def _side(
    allocations: Allocations, process: str, sums_of: Callable[[ProcessAllocations], _Sums]
) -> Mapping[str, dict[Bytes, int]] | None:
    """Bytes by name, summed over processes; None where a capture was cut short, which would look as if things had vanished."""
    own = [each for each in allocations.processes if (each.role == "worker") == (process == "workers")]
    if any(each.capture_status != "complete" for each in own):
        return None
    sums: _Sums = defaultdict(lambda: {"held": 0, "total": 0})
    for each in own:
        for name, part in sums_of(each).items():
            for measure in _MEASURES:
                sums[name][measure] += part[measure]
    return sums
