"""The model's constants: those shipped, or those fitted from a host's own runs."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from somaray.errors import SomarayError
from somaray.plan.work import FIGURES, PEAK, SECONDS, WORKER, Work, quantities
from somaray.record_files import Record, read_record
from somaray.records import Provenance
from somaray.settings import Part

SHIPPED = Path(__file__).with_name("constants.json")
"""Fitted by `benchmarks/plan.py` from the runs that it made, where and with what its `provenance` says."""

OWN = "plan/constants.json"
"""Below the results: constants of this host, as `somaray plan --fit` writes them."""


class Fitted(Part, frozen=True, kw_only=True):
    """Constants of one figure of one method.

    `terms` are bytes or seconds a unit of each of the model's quantities (`somaray.plan.work.TERMS`). What they add up to is
    multiplied by `margin`, by which runs exceeded it that the terms were fitted without. `n_runs` counts the runs behind them
    that are not the shipped constants' own.
    """

    terms: dict[str, float]
    margin: float
    n_runs: int


class Constants(Record, frozen=True, kw_only=True):
    """`constants.json`: by method and figure. `provenance` is that of the newest run behind them."""

    methods: dict[str, dict[str, Fitted]]
    provenance: Provenance
    own_runs: bool = False


class Prediction(Part, frozen=True, kw_only=True):
    """What a run is expected to take at most.

    `peak_pss_bytes` is the peak of PSS summed over its processes, `largest_worker_bytes` the largest worker's VmHWM (None
    without worker processes), `seconds` those of all its phases (None where X is read over the net, of whose speed no constant
    knows).
    """

    peak_pss_bytes: int
    largest_worker_bytes: int | None
    seconds: float | None


@cache
def shipped_constants() -> Constants:
    """Read the constants that come with the package."""
    return read_record(SHIPPED, Constants)


def constants_of(results_dir: str | Path) -> Constants:
    """The constants in use for a results directory: this host's own if they were fitted, else those shipped.

    Raises
    ------
    SomarayError
        If its own cannot be read, or were fitted to another model than this version's.
    """
    own = Path(results_dir) / OWN
    if not own.is_file():
        return shipped_constants()
    constants = read_record(own, Constants)
    if _names(constants) != _names(shipped_constants()):
        raise SomarayError(
            f"{own}: constants of another version's model: expected those of this one; run `somaray plan --fit` again, or "
            "delete the file to use those shipped"
        )
    return constants


def _names(constants: Constants) -> dict[str, dict[str, set[str]]]:
    return {
        method: {figure: set(fitted.terms) for figure, fitted in figures.items()}
        for method, figures in constants.methods.items()
    }


def figure_of(work: Work, fitted: Fitted, figure: str) -> float | None:
    """One figure of a run; None where it has none.

    Memory with worker processes is never below that of the same threads without any, some of whose terms fall away.
    """
    found = quantities(work, figure)
    if not found:
        return None
    cost = sum(fitted.terms.get(name, 0.0) * quantity for name, quantity in found.items())
    if figure == PEAK and work.processes:
        alone = quantities(replace(work, processes=0), figure)
        cost = max(cost, sum(fitted.terms.get(name, 0.0) * quantity for name, quantity in alone.items()))
    return fitted.margin * cost


def predict(work: Work, constants: Constants) -> Prediction | None:
    """What a run is expected to take at most; None for a method that the constants do not know."""
    of_method = constants.methods.get(work.method)
    if of_method is None:
        return None
    found = {figure: figure_of(work, of_method[figure], figure) for figure in FIGURES if figure in of_method}
    peak, worker, seconds = found[PEAK], found.get(WORKER), found[SECONDS]
    assert peak is not None
    assert seconds is not None
    return Prediction(
        peak_pss_bytes=round(peak),
        largest_worker_bytes=None if worker is None else round(worker),
        seconds=None if work.reads_over_the_net else seconds,
    )
