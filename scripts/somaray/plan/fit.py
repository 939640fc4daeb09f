"""Fit the model's constants to finished runs: quantile regression by linear programming, no constant negative.

For each method and figure the constants b minimise Σ q·u + (1 − q)·o over the runs, with u how far a run's prediction is below
what was measured and o how far above, both in units of what was measured (the pinball loss of Koenker and Bassett, Regression
Quantiles, Econometrica 46, 1978; of relative errors, so that small runs count as much as large ones). With q a little above a
half the terms follow the middle of the runs, not the few that took longest or most: what those need is the margin's affair.

Moving a constant away from what it was before has a price, so that few runs move it little, and none but to fit better. Before
any run that is what `somaray.plan.work` expects of it; for the runs of another host, the shipped constant.

How far a prediction holds for a run that it was not fitted on is asked of the runs themselves: each is left out in turn, and
predictions are raised by a margin, of memory by one for all methods, of seconds by one for each, until `COVERED` of those of
the runs left out hold.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from somaray.plan.constants import Constants, Fitted, figure_of
from somaray.plan.finished import Case, cases_of
from somaray.plan.size import size_of
from somaray.plan.work import FIGURES, SECONDS, TERMS, quantities
from somaray.records import Execution, Manifest, Provenance, read_record

QUANTILE = 0.6
COVERED = 0.98
"""Shares of runs that shall stay below: of those fitted to, below what the terms add up to; of those left out, below that times
the margin."""

LEAST = 0.5
"""Of what a term is expected to cost before any run: what no dataset here is large enough to show is not free."""

PRICE = 1.0
PRICE_OF_ALL = 0.5
"""In units of a run's loss. All are moved together more cheaply: what takes more of one thing mostly takes more of the others,
and a single run must not be charged to a term that others have more of."""


def fit(cases: Sequence[Case], provenance: Provenance, prior: Constants | None = None) -> Constants:
    """Fit the constants of all methods that have runs.

    Parameters
    ----------
    provenance
        Of the newest run.
    prior
        Constants to stay near; methods without runs keep theirs, and all keep their margins.
    """
    methods = {name: _none_own(figures) for name, figures in prior.methods.items()} if prior else {}
    for figure in FIGURES:
        having = [case for case in cases if figure in case.measured and quantities(case.work, figure)]
        by_method: dict[str, list[Case]] = {}
        for case in having:
            by_method.setdefault(case.work.method, []).append(case)
        in_common = 1.0 if prior or figure == SECONDS else _margin(by_method, figure)
        for method, own in by_method.items():
            # What memory is made of is alike in all methods; what time goes to is not.
            margin = _margin({method: own}, figure) if figure == SECONDS and not prior else in_common
            before = methods.setdefault(method, {}).get(figure)
            methods[method][figure] = Fitted(
                terms=_terms(own, figure, before),
                margin=margin if before is None else before.margin,
                n_runs=len(own),
            )
    return Constants(methods=methods, provenance=provenance, own_runs=prior is not None)


def _none_own(figures: Mapping[str, Fitted]) -> dict[str, Fitted]:
    return {name: msgspec.structs.replace(fitted, n_runs=0) for name, fitted in figures.items()}


def _terms(cases: Sequence[Case], figure: str, prior: Fitted | None) -> dict[str, float]:
    rows = [quantities(case.work, figure) for case in cases]
    names = list(rows[0])
    measured = np.array([case.measured[figure] for case in cases])
    # Predictions in units of what was measured: 1 is right.
    relative = np.array([[row[name] for name in names] for row in rows]) / measured[:, None]
    if prior is None:
        expected = TERMS[cases[0].work.method][figure]
        before = np.array([expected[name].expected for name in names])
    else:
        before = np.array([prior.terms.get(name, 0.0) for name in names])
        relative *= prior.margin
    found = _quantile_regression(relative, before, LEAST if prior is None else 0.0)
    return {name: float(f"{value:.5g}") for name, value in zip(names, found, strict=True)}


def _quantile_regression(design: NDArray[np.float64], prior: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Find constants b of the least pinball loss of 1 − `design` · b, plus the price of moving them from `prior`.

    Parameters
    ----------
    design
        Runs × terms: what a unit of a constant adds to a run's prediction, in units of what was measured.
    least
        No constant is below that share of its prior.
    prior
        A constant a term; moving one by as much as adds 1 to the mean prediction costs `PRICE`, moving all by one factor so
        that they do `PRICE_OF_ALL`.
    """
    n_runs, n_terms = design.shape
    # Scaled so that each term's mean is 1: bytes a non-zero and bytes a process are ten orders of magnitude apart.
    scale = design.mean(axis=0)
    scale[scale == 0] = 1.0
    before = prior * scale
    runs, terms, whole = np.eye(n_runs), np.eye(n_terms), before[:, None]
    # Unknowns b, under, over, up, down, more, less:
    # scaled · b + under − over = 1, and b − up + down − (more − less) · prior = prior.
    system = np.block(
        [
            [design / scale, runs, -runs, np.zeros((n_runs, 2 * n_terms + 2))],
            [terms, np.zeros((n_terms, 2 * n_runs)), -terms, terms, -whole, whole],
        ]
    )
    right = np.concatenate([np.ones(n_runs), before])
    prices = [0.0, QUANTILE, 1 - QUANTILE, PRICE, PRICE_OF_ALL * before.sum()]
    cost = np.repeat(prices, [n_terms, n_runs, n_runs, 2 * n_terms, 2])
    bounds = [(least * constant, None) for constant in before] + [(0, None)] * (len(cost) - n_terms)
    solved = linprog(cost, A_eq=system, b_eq=right, bounds=bounds, method="highs")
    if not solved.success:
        raise RuntimeError(f"no constants found: {solved.message}")
    return np.asarray(solved.x[:n_terms]) / scale


def _margin(by_method: Mapping[str, Sequence[Case]], figure: str) -> float:
    """What predictions must be multiplied by for `COVERED` of all runs to hold, each predicted without itself."""
    excesses = []
    for cases in by_method.values():
        for case in cases:
            others = [other for other in cases if other is not case]
            if others:
                fitted = Fitted(terms=_terms(others, figure, None), margin=1.0, n_runs=len(others))
                predicted = figure_of(case.work, fitted, figure)
                excesses.append(case.measured[figure] / predicted if predicted else np.inf)
    return float(f"{max(1.0, np.quantile(excesses, COVERED)):.4g}") if excesses else 1.0


def fit_to_results(results_dir: str | Path, host: str, prior: Constants) -> Constants | None:
    """Fit the constants to all finished runs of a host that lie in a results directory.

    Runs that a configuration has dropped lie there too, and are as true as the others.

    Parameters
    ----------
    host
        Its name; other hosts' runs tell of other processors and libraries.
    prior
        What few runs move little.

    Returns
    -------
    None if there is no such run.
    """
    results = Path(results_dir)
    manifests = [read_record(path, Manifest) for path in sorted(results.glob("datasets/*/manifest.json"))]
    timings = [read_record(path, Execution) for path in sorted(results.glob("hvg/*/*/*/timing/*.json"))]
    own = [timing for timing in timings if timing.provenance.host.name == host]
    cases = cases_of(own, {manifest.name: size_of(manifest) for manifest in manifests})
    if not cases:
        return None
    return fit(cases, max((timing.provenance for timing in own), key=lambda made: made.made_at), prior)
