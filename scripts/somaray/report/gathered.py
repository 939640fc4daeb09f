"""All records of all runs, read once from the files that a rule is given."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from somaray.allocations.foreign import ForeignRun, read_foreign
from somaray.records import Agreement, Allocations, Execution, Manifest, Record, read_record
from somaray.report.details import RunDetail, details
from somaray.report.rows import RunRow, build_rows


@dataclass(frozen=True)
class Gathered:
    """The records that tables, figures and the report are made from."""

    manifests: tuple[Manifest, ...]
    captures: tuple[Execution, ...]
    timings: tuple[Execution, ...]
    allocations: tuple[Allocations, ...]
    agreements: tuple[Agreement, ...]
    imported: tuple[ForeignRun, ...] = ()

    @property
    def executions(self) -> tuple[Execution, ...]:
        """Captures, then timings."""
        return (*self.captures, *self.timings)

    @cached_property
    def rows(self) -> list[RunRow]:
        """A row a run, in the order of the matrix."""
        return build_rows(self.manifests, self.captures, self.timings, self.allocations, self.agreements, self.imported)

    def details(self, runs_dir: str | Path) -> list[RunDetail]:
        """All there is of each measured run, whose directories lie below `runs_dir`."""
        return details(self.rows, self.captures, self.timings, self.allocations, self.agreements, runs_dir)


def gather(given: Any) -> Gathered:
    """Read the files of a rule's inputs `manifests`, `captures`, `timings`, `allocations`, `agreements` and `imported`."""

    def read[R: Record](paths: Iterable[str], kind: type[R]) -> tuple[R, ...]:
        return tuple(read_record(path, kind) for path in paths)

    return Gathered(
        manifests=read(given.manifests, Manifest),
        captures=read(given.captures, Execution),
        timings=read(given.timings, Execution),
        allocations=read(given.allocations, Allocations),
        agreements=read(given.agreements, Agreement),
        imported=tuple(read_foreign(path) for path in given.imported),
    )
