"""What to use in how much memory: the fastest finished run that fits, and settings never run that the plan says are faster."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from somaray.matrix import Run
from somaray.plan.constants import Constants, Prediction, predict, shipped_constants
from somaray.plan.finished import cases_of, run_of
from somaray.plan.fit import fit
from somaray.plan.size import Size, size_of
from somaray.plan.work import work_of
from somaray.records import Execution
from somaray.registry import METHODS
from somaray.report.choices import BUDGETS_BYTES, fastest_within, memory_of, seconds_of
from somaray.report.gathered import Gathered
from somaray.report.rows import RunRow
from somaray.settings import RunSettings
from somaray.units import Parallelism, format_bytes

CHUNK_SIZES = (5_000, 10_000, 20_000, 50_000, 100_000, 200_000)
"""Cells a chunk that are looked at beside those that ran."""


@dataclass(frozen=True)
class Recommendation:
    """What to use on one dataset in one budget of memory.

    Parameters
    ----------
    measured
        The fastest finished run whose largest summed PSS, over all replicates, fits in; None if none does.
    predicted
        A setting that was never run and that the plan says is faster still, or fits where no finished run does; else None.
    """

    dataset: str
    budget_bytes: int
    measured: RunRow | None
    predicted: tuple[Run, Prediction] | None

    @property
    def choice(self) -> tuple[Run | None, Run | None]:
        """The runs that are recommended, in which budgets may agree."""
        measured = None if self.measured is None else self.measured.run
        return measured, None if self.predicted is None else self.predicted[0]

    @property
    def margin_bytes(self) -> float | None:
        """What the finished run left of the budget."""
        return None if self.measured is None else self.budget_bytes - memory_of(self.measured)

    @property
    def predicted_margin_bytes(self) -> float | None:
        """What the setting never run is expected to leave."""
        return None if self.predicted is None else self.budget_bytes - self.predicted[1].peak_pss_bytes


def recommend(gathered: Gathered, budgets_bytes: Sequence[int] = BUDGETS_BYTES) -> list[Recommendation]:
    """Recommend for every dataset that was measured and every budget, in the order of the rows.

    Predictions of settings never run are by constants fitted to these very runs, from those shipped on.
    """
    sizes = {manifest.name: size_of(manifest) for manifest in gathered.manifests}
    constants = constants_from(gathered)
    found = []
    for dataset in dict.fromkeys(row.run.dataset for row in gathered.rows if row.origin == "measured"):
        rows = [row for row in gathered.rows if row.run.dataset == dataset and row.origin == "measured"]
        size, executions = sizes.get(dataset), [each for each in gathered.executions if each.dataset == dataset]
        never = [] if size is None or constants is None else never_run(rows, size, executions, constants)
        for budget_bytes in sorted(set(budgets_bytes)):
            measured = fastest_within(rows, budget_bytes)
            found.append(Recommendation(dataset, budget_bytes, measured, _better(never, budget_bytes, measured)))
    return found


def ranges[T](by_budget: Iterable[tuple[int, T]]) -> list[tuple[str, T]]:
    """Budgets in a row that come to the same, in words."""
    told = []
    for same, group in groupby(by_budget, key=lambda pair: pair[1]):
        budgets = [format_bytes(budget_bytes) for budget_bytes, _ in group]
        told.append((budgets[0] + (f" to {budgets[-1]}" if len(budgets) > 1 else ""), same))
    return told


def constants_from(gathered: Gathered) -> Constants | None:
    """Constants fitted to the timings there are; None without any."""
    sizes = {manifest.name: size_of(manifest) for manifest in gathered.manifests}
    cases = cases_of(gathered.timings, sizes)
    if not cases:
        return None
    newest = max((timing.provenance for timing in gathered.timings), key=lambda made: made.made_at)
    return fit(cases, newest, shipped_constants())


def never_run(
    rows: Sequence[RunRow], size: Size, executions: Sequence[Execution], constants: Constants
) -> list[tuple[Run, Prediction]]:
    """Predict settings that were not tried: usual chunk sizes, and cores shared out in powers of two.

    Methods are those that ran, for a method that did not may need an export or a store that is not there; their settings those
    of the runs most like them.
    """
    tried, found = {row.run for row in rows}, []
    cores = max(executions, key=lambda each: each.provenance.made_at).provenance.host.usable_cores
    for run in _settings(rows[0].run.dataset, dict.fromkeys(row.run.method for row in rows), size, cores):
        like = most_like(run, executions)
        if run in tried or like.hvg.flavor not in METHODS[run.method].flavors:
            continue
        settings = RunSettings(tiledb=like.tiledb, obs_columns=like.obs_columns)
        prediction = predict(work_of(run, size, like.hvg, settings, cores), constants)
        if prediction is not None:
            found.append((run, prediction))
    return found


def most_like(run: Run, executions: Sequence[Execution]) -> Execution:
    """An execution with the settings of a run: its own, else one of the same method and variant, else any of the dataset."""
    return min(
        (each for each in executions if each.dataset == run.dataset),
        key=lambda each: (
            run_of(each) != run,
            (each.method, each.variant) != (run.method, run.variant),
            each.variant != run.variant,
        ),
    )


def _settings(dataset: str, methods: Sequence[str] | dict[str, None], size: Size, cores: int) -> Iterator[Run]:
    powers = [2**power for power in range(cores.bit_length()) if 2**power <= cores]
    layouts = [Parallelism(p, t, 1) for p in powers for t in powers if p * t <= cores]
    layouts += [Parallelism(0, t, 1) for t in powers]
    for method in methods:
        if METHODS[method].chunked:
            sizes = [chunk for chunk in CHUNK_SIZES if chunk < size.n_obs] or [size.n_obs]
            yield from (Run(dataset, method, chunk, layout) for chunk in sizes for layout in layouts)
        else:
            yield Run(dataset, method)


def _better(
    never: Sequence[tuple[Run, Prediction]], budget_bytes: int, measured: RunRow | None
) -> tuple[Run, Prediction] | None:
    fitting = [
        (prediction.seconds, prediction.peak_pss_bytes, run.sort_key, run, prediction)
        for run, prediction in never
        if prediction.peak_pss_bytes <= budget_bytes and prediction.seconds is not None
    ]
    if not fitting:
        return None
    seconds, _, _, run, prediction = min(fitting, key=lambda each: each[:3])
    return (run, prediction) if measured is None or seconds < seconds_of(measured) else None
