"""What a rule looks at, and what it gives: all runs of a method on a dataset, and a finding about them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from somaray.matrix import Run
from somaray.records import Allocations, Execution, Manifest
from somaray.report.rows import run_of


@dataclass(frozen=True)
class Finding:
    """Something that the measurements say about a method on a dataset.

    Parameters
    ----------
    rule
        Name of the rule, the same for all of its findings, e.g. `obs-buffers`.
    title
        What it is about, the same for all findings of the rule.
    dataset, method
        What it was seen on.
    evidence
        Sentences with the numbers it rests on: the range over the runs, then the worst run.
    remedy
        What to do about it.
    runs
        Paths (`Run.path`) of the runs it was seen in, the worst first.

    All texts are plain, but for code between backticks.
    """

    rule: str
    title: str
    dataset: str
    method: str
    evidence: tuple[str, ...]
    remedy: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Records:
    """All records of an invocation; runs are told apart by what the records themselves say."""

    manifests: Sequence[Manifest]
    captures: Sequence[Execution]
    timings: Sequence[Execution]
    allocations: Sequence[Allocations]


@dataclass(frozen=True)
class RunRecords:
    """The records of one run; `timings` in order of their replicates, failed ones among them."""

    run: Run
    capture: Execution | None
    timings: tuple[Execution, ...]
    allocations: Allocations | None

    @property
    def executions(self) -> tuple[Execution, ...]:
        """All executions, the capture first."""
        return (*((self.capture,) if self.capture else ()), *self.timings)

    @property
    def good(self) -> tuple[Execution, ...]:
        """Timings that ended well."""
        return tuple(timing for timing in self.timings if timing.status == "ok")

    @property
    def n_chunks(self) -> int | None:
        """Chunks of X in one pass; None where the method has none."""
        if self.run.chunk_size is None:
            return None
        return -(-self.executions[0].n_obs // self.run.chunk_size)

    def over(self, figure: Callable[[Execution], float | None]) -> float | None:
        """Median of a figure over the timings that ended well; None where none has it."""
        known = [value for timing in self.good if (value := figure(timing)) is not None]
        return median(known) if known else None

    @property
    def wall_seconds(self) -> float | None:
        """Median seconds of all phases, unprofiled."""
        return self.over(lambda timing: timing.wall_seconds)

    @property
    def peak_pss_bytes(self) -> float | None:
        """Median peak of the summed PSS, unprofiled."""
        return self.over(lambda timing: timing.peak_pss_bytes)


@dataclass(frozen=True)
class Scope:
    """All runs of one method on one dataset, sorted; `beside` are those of the other methods on it."""

    dataset: str
    method: str
    manifest: Manifest | None
    runs: tuple[RunRecords, ...]
    beside: tuple[RunRecords, ...] = ()


@dataclass(frozen=True)
class Case:
    """A run in which a rule's condition holds: the figure that says how badly, and a sentence with all numbers."""

    run: Run
    figure: float
    text: str


def scopes(records: Records) -> tuple[Scope, ...]:
    """Group records by dataset and method, and within that by run."""
    captures = {run_of(record): record for record in records.captures}
    allocations = {run_of(record): record for record in records.allocations}
    manifests = {manifest.name: manifest for manifest in records.manifests}
    timings: dict[Run, list[Execution]] = {}
    for timing in sorted(records.timings, key=lambda record: record.replicate or 0):
        timings.setdefault(run_of(timing), []).append(timing)
    runs = [
        RunRecords(run, captures.get(run), tuple(timings.get(run, ())), allocations.get(run))
        for run in sorted({*captures, *timings}, key=lambda run: run.sort_key)
    ]
    return tuple(
        Scope(
            dataset,
            method,
            manifests.get(dataset),
            tuple(each for each in runs if (each.run.dataset, each.run.method) == (dataset, method)),
            tuple(each for each in runs if each.run.dataset == dataset and each.run.method != method),
        )
        for dataset, method in dict.fromkeys((each.run.dataset, each.run.method) for each in runs)
    )


def finding_of(
    scope: Scope,
    rule: str,
    title: str,
    cases: Iterable[Case],
    what: str,
    form: Callable[[float], str],
    remedy: str,
    more: Iterable[str] = (),
) -> Finding | None:
    """Make one finding of all cases of a rule: their range, and the worst of them in full.

    Parameters
    ----------
    what
        Names the figure that `form` writes, e.g. `held and hardly touched`.
    more
        Further sentences of evidence.

    Returns
    -------
    None if there is no case.
    """
    ordered = sorted(cases, key=lambda case: case.figure, reverse=True)
    if not ordered:
        return None
    worst, least = ordered[0], ordered[-1]
    evidence = [f"`{worst.run.setting}`: {worst.text}."]
    if len(scope.runs) > 1:
        most, low = form(worst.figure), form(least.figure)
        span = most if most == low else f"{low} to {most}"
        named = {len(scope.runs): f"All {len(scope.runs)} runs", 1: f"One of {len(scope.runs)} runs"}
        seen = named.get(len(ordered), f"{len(ordered)} of {len(scope.runs)} runs")
        evidence.insert(0, f"{seen}: {what} {span}.")
    return Finding(
        rule=rule,
        title=title,
        dataset=scope.dataset,
        method=scope.method,
        evidence=(*evidence, *more),
        remedy=remedy,
        runs=tuple(case.run.path for case in ordered),
    )


def percent(share: float) -> str:
    """Write a share: `47 %`, and small ones with two digits, `0.0012 %`."""
    if share == 0:
        return "0 %"
    return f"{share:.0%}".replace("%", " %") if share >= 0.095 else f"{float(f'{100 * share:.2g}'):.10g} %"
