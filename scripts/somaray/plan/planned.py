"""The runs of a configuration with what each is expected to take, and whether that fits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from somaray.config import Settings
from somaray.matrix import Run
from somaray.plan.constants import Constants, Prediction, predict
from somaray.plan.size import Size, known_size
from somaray.plan.work import work_of
from somaray.registry import METHODS
from somaray.settings import Limits
from somaray.units import format_bytes, format_seconds

UNKNOWN = "unknown until prepared"


@dataclass(frozen=True)
class Planned:
    """A run before it runs; without a prediction, `doubts` says why there is none.

    `doubts` are reasons why it may end before its time; none of them keeps it from being tried.
    """

    run: Run
    size: Size | None
    prediction: Prediction | None
    doubts: tuple[str, ...] = ()


def manifest_path(results_dir: str | Path, dataset: str) -> Path:
    """Where the manifest of a dataset is once it is prepared."""
    return Path(results_dir) / "datasets" / dataset / "manifest.json"


def predict_run(settings: Settings, run: Run, size: Size, constants: Constants, cores: int) -> Prediction | None:
    """What a run of a configuration is expected to take on a host of so many cores; None if nothing can be said."""
    if settings.hvg.flavor not in METHODS[run.method].flavors:
        return None
    return predict(work_of(run, size, settings.hvg, settings.of(run), cores), constants)


def plan_runs(
    settings: Settings,
    results_dir: str | Path,
    constants: Constants,
    cores: int,
    limits: Limits,
    machine_bytes: int | None = None,
) -> list[Planned]:
    """Plan all runs of a configuration, in the order of the matrix.

    Parameters
    ----------
    results_dir
        Where manifests of prepared datasets lie.
    limits
        Budgets of an execution, `auto` resolved.
    machine_bytes
        Memory of the machine that will measure; None leaves that open.
    """
    sizes = {name: known_size(settings.catalogue[name], manifest_path(results_dir, name)) for name in settings.datasets}
    planned = []
    for run in settings.runs:
        size = sizes[run.dataset]
        prediction = None if size is None else predict_run(settings, run, size, constants, cores)
        if settings.hvg.flavor not in METHODS[run.method].flavors:
            doubts: tuple[str, ...] = (f"unsupported: flavor {settings.hvg.flavor}",)
        elif prediction is None:
            doubts = (UNKNOWN,)
        else:
            doubts = tuple(doubts_of(prediction, limits, machine_bytes))
        planned.append(Planned(run, size, prediction, doubts))
    return planned


def doubts_of(prediction: Prediction, limits: Limits, machine_bytes: int | None) -> list[str]:
    """Why a run may not come to its end."""
    doubts, peak_bytes = [], prediction.peak_pss_bytes
    if machine_bytes is not None and peak_bytes > machine_bytes:
        doubts.append(f"beyond the machine's {format_bytes(machine_bytes)}")
    elif limits.memory_bytes is not None and peak_bytes > limits.memory_bytes:
        doubts.append(f"beyond the budget of {format_bytes(limits.memory_bytes)}")
    if limits.time_seconds is not None and (prediction.seconds or 0) > limits.time_seconds:
        doubts.append(f"longer than {format_seconds(limits.time_seconds)}")
    return doubts


def seconds_of_all(planned: Sequence[Planned], executions_a_run: int) -> float:
    """Seconds that all executions of the runs with a prediction take, one after the other."""
    return executions_a_run * sum(each.prediction.seconds or 0 for each in planned if each.prediction is not None)
