"""From lists of datasets, methods, chunk sizes and parallelism to runs, and from a run to its path and back. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from somaray.errors import SomarayError
from somaray.registry import METHODS
from somaray.units import Parallelism, format_count, parse_count, parse_parallelism

WHOLE = "whole"
"""Setting of a method that knows neither chunks nor workers."""

EXCLUDE_KEYS = ("dataset", "method", "chunk_size", "parallelism", "processes", "threads", "tile_threads")


@dataclass(frozen=True)
class Run:
    """One point of the matrix.

    Parameters
    ----------
    dataset, method
        Names in the catalogue and in the registry.
    chunk_size
        Rows a task; None where the method has no chunks.
    parallelism
        None where the method has no workers.
    """

    dataset: str
    method: str
    chunk_size: int | None = None
    parallelism: Parallelism | None = None

    @property
    def setting(self) -> str:
        """The notes' name for chunk size and parallelism, e.g. `100k_4x4x4`."""
        if self.chunk_size is None:
            return WHOLE
        return f"{format_count(self.chunk_size)}_{self.parallelism}"

    @property
    def path(self) -> str:
        """Directory of the run below `results/hvg`, e.g. `heart/soma-dask/100k_4x4x4`."""
        return f"{self.dataset}/{self.method}/{self.setting}"

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Datasets and methods by name, then chunk sizes and parallelism by size."""
        parallelism = self.parallelism or Parallelism(0, 0, 0)
        return self.dataset, self.method, self.chunk_size or 0, parallelism

    def matches(self, pattern: Mapping[str, Any]) -> bool:
        """Whether every key of `pattern` (see `EXCLUDE_KEYS`) agrees with this run."""
        own = {
            "dataset": self.dataset,
            "method": self.method,
            "chunk_size": self.chunk_size,
            "parallelism": None if self.parallelism is None else str(self.parallelism),
            "processes": self.parallelism and self.parallelism.processes,
            "threads": self.parallelism and self.parallelism.threads,
            "tile_threads": self.parallelism and self.parallelism.tile_threads,
        }
        wanted = {key: parse_count(value) if key == "chunk_size" else value for key, value in pattern.items()}
        return all(own[key] == value for key, value in wanted.items())


def parse_setting(text: str) -> tuple[int | None, Parallelism | None]:
    """Read `100k_4x4x4` or `whole`.

    Raises
    ------
    SomarayError
        If `text` is neither.
    """
    if text == WHOLE:
        return None, None
    chunk, separator, parallelism = text.partition("_")
    if not separator:
        raise SomarayError(f"{text!r} is not a run: expected chunk size and parallelism, e.g. 100k_4x4x4, or {WHOLE}")
    return parse_count(chunk), parse_parallelism(parallelism)


def run_from_path(path: str) -> Run:
    """Read `dataset/method/setting`, the inverse of `Run.path`.

    Raises
    ------
    SomarayError
        If `path` has another shape.
    """
    parts = path.strip("/").split("/")
    if len(parts) != 3:
        raise SomarayError(f"{path!r} is not a run: expected dataset/method/setting, e.g. heart/soma-dask/100k_4x4x4")
    dataset, method, setting = parts
    return Run(dataset, method, *parse_setting(setting))


def expand(
    datasets: Iterable[str],
    methods: Sequence[str],
    chunk_sizes: Iterable[int],
    parallelism: Iterable[Parallelism],
    exclude: Iterable[Mapping[str, Any]] = (),
    runs: Mapping[str, Iterable[str]] | None = None,
) -> tuple[Run, ...]:
    """Expand the matrix, drop what `exclude` matches, add what `runs` names, each run once, sorted.

    Parameters
    ----------
    exclude
        Partial matches, e.g. `{"dataset": "heart", "processes": 8}`; they drop runs of the matrix, not of `runs`.
    runs
        Dataset to runs beside the matrix: `100k_4x4x4` (for every method with chunks among `methods`),
        `method/100k_4x4x4` or the bare name of a method without chunks.
    """
    chunk_sizes, parallelism, exclude = tuple(chunk_sizes), tuple(parallelism), tuple(exclude)
    matrix = set()
    for dataset in datasets:
        for method in methods:
            if METHODS[method].chunked:
                matrix |= {Run(dataset, method, size, layout) for size in chunk_sizes for layout in parallelism}
            else:
                matrix.add(Run(dataset, method))
    kept = {run for run in matrix if not any(run.matches(pattern) for pattern in exclude)}
    for dataset, names in (runs or {}).items():
        for name in names:
            kept |= _named_runs(dataset, str(name), methods)
    return tuple(sorted(kept, key=lambda run: run.sort_key))


def _named_runs(dataset: str, name: str, methods: Sequence[str]) -> set[Run]:
    method, slash, setting = name.rpartition("/")
    if not slash and name in METHODS:
        method, setting = name, WHOLE
    chosen = [method] if method else [known for known in methods if METHODS[known].chunked]
    for known in chosen:
        if known not in METHODS:
            raise SomarayError(f"{name!r} names an unknown method {known!r}: expected one of {', '.join(METHODS)}")
        if METHODS[known].chunked == (setting == WHOLE):
            raise SomarayError(
                f"{name!r}: {known} runs "
                + ("with a chunk size and parallelism, e.g. 100k_4x4x4" if METHODS[known].chunked else f"as {WHOLE}")
            )
    return {Run(dataset, known, *parse_setting(setting)) for known in chosen}
