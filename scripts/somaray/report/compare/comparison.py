"""Hold two sides against each other: everything that a report, a table or an exit code is made from. Pure."""

from dataclasses import dataclass

from somaray.report.compare.circumstances import (
    Difference,
    GeneChange,
    StatusChange,
    differences,
    gene_changes,
    status_changes,
    warnings,
)
from somaray.report.compare.figures import FigureChange, figure_changes
from somaray.report.compare.moves import Move, group_moves, phase_moves, place_moves
from somaray.report.compare.sides import Side
from somaray.report.compare.thresholds import Thresholds


@dataclass(frozen=True)
class Comparison:
    """Two sides compared; each tuple is in the order of A's runs.

    `matched` are the runs that both have, `only_a` and `only_b` those that one has, `warnings` what makes the comparison mean
    less. Only phases, groups and places that moved beyond the thresholds are there, but every figure.
    """

    a: Side
    b: Side
    thresholds: Thresholds
    matched: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    figures: tuple[FigureChange, ...]
    phases: tuple[Move, ...]
    groups: tuple[Move, ...]
    places: tuple[Move, ...]
    genes: tuple[GeneChange, ...]
    statuses: tuple[StatusChange, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]

    @property
    def figure_alarms(self) -> list[FigureChange]:
        """Figures that grew beyond their threshold."""
        return [change for change in self.figures if change.alarm]

    @property
    def gene_alarms(self) -> list[GeneChange]:
        """Runs that pick other genes, or score them otherwise, though asked for the same."""
        if "genes" in self.thresholds.allow:
            return []
        return [change for change in self.genes if not change.same and not change.expected]

    @property
    def status_alarms(self) -> list[StatusChange]:
        """Runs that ended well before and no longer do."""
        return [] if "status" in self.thresholds.allow else [change for change in self.statuses if change.worse]

    @property
    def n_alarms(self) -> int:
        """How many things are worse than allowed."""
        return len(self.figure_alarms) + len(self.gene_alarms) + len(self.status_alarms)

    @property
    def untold(self) -> tuple[str, ...]:
        """Runs with a guarded figure that has too few replicates to tell."""
        told = (
            change.match
            for change in self.figures
            if change.figure.guarded and change.verdict == "too few replicates to tell"
        )
        return tuple(dict.fromkeys(told))


def compare_sides(a: Side, b: Side, thresholds: Thresholds | None = None) -> Comparison:
    """Compare all runs that two sides have in common."""
    thresholds = thresholds or Thresholds()
    pairs = {match: (own, b.runs[match]) for match, own in a.runs.items() if match in b.runs}
    found = differences(pairs)
    return Comparison(
        a=a,
        b=b,
        thresholds=thresholds,
        matched=tuple(pairs),
        only_a=tuple(match for match in a.runs if match not in b.runs),
        only_b=tuple(match for match in b.runs if match not in a.runs),
        figures=figure_changes(pairs, thresholds),
        phases=tuple(move for match, sides in pairs.items() for move in phase_moves(match, *sides, thresholds)),
        groups=tuple(move for match, sides in pairs.items() for move in group_moves(match, *sides, thresholds)),
        places=tuple(move for match, sides in pairs.items() for move in place_moves(match, *sides, thresholds)),
        genes=gene_changes(pairs),
        statuses=status_changes(pairs),
        differences=found,
        warnings=warnings(found),
    )
