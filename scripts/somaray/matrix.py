"""From datasets, methods, chunk sizes, parallelism and variants to runs, and from a run to its path and back. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from somaray.errors import SomarayError
from somaray.registry import METHODS
from somaray.units import Parallelism, format_count, parse_count, parse_parallelism

WHOLE = "whole"
"""Setting of a method that knows neither chunks nor workers."""

DEFAULT = "default"
"""The variant that lays nothing over a run, and is not named in its path."""

VARIANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
"""No underscore: it parts a setting from the variant."""

EXCLUDE_KEYS = ("dataset", "method", "chunk_size", "parallelism", "processes", "threads", "tile_threads", "variant")


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
    variant
        Name of the bundle of settings laid over it.
    """

    dataset: str
    method: str
    chunk_size: int | None = None
    parallelism: Parallelism | None = None
    variant: str = DEFAULT

    @property
    def setting(self) -> str:
        """The notes' name for chunk size and parallelism, e.g. `100k_4x4x4`; with a variant, `100k_4x4x4_small-buffers`."""
        setting = WHOLE if self.chunk_size is None else f"{format_count(self.chunk_size)}_{self.parallelism}"
        return setting if self.variant == DEFAULT else f"{setting}_{self.variant}"

    @property
    def path(self) -> str:
        """Directory of the run below `results/hvg`, e.g. `heart/soma-dask/100k_4x4x4`."""
        return f"{self.dataset}/{self.method}/{self.setting}"

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Datasets and methods by name, then chunk sizes and parallelism by size, then variants by name after the default."""
        parallelism = self.parallelism or Parallelism(0, 0, 0)
        return self.dataset, self.method, self.chunk_size or 0, parallelism, self.variant != DEFAULT, self.variant

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
            "variant": self.variant,
        }
        wanted = {key: parse_count(value) if key == "chunk_size" else value for key, value in pattern.items()}
        return all(own[key] == value for key, value in wanted.items())


@dataclass(frozen=True)
class Variant:
    """A point of the fourth axis.

    Parameters
    ----------
    settings
        What it lays over a run, of `registry.SETTINGS`.
    only
        Partial matches as those of `exclude`; it has runs of the matrix where one of them matches. None is everywhere.
    """

    name: str = DEFAULT
    settings: frozenset[str] = frozenset()
    only: tuple[Mapping[str, Any], ...] | None = None

    def reaches(self, method: str) -> bool:
        """Whether a method can tell it from the default; an empty variant is a repetition, and of any method."""
        return not self.settings or bool(self.settings.difference(METHODS[method].unaffected_by))

    def has(self, run: Run) -> bool:
        """Whether a run of this variant belongs to the matrix."""
        return self.only is None or any(run.matches(pattern) for pattern in self.only)


def parse_setting(text: str) -> tuple[int | None, Parallelism | None, str]:
    """Read `100k_4x4x4`, `whole`, or either with a variant: `100k_4x4x4_small-buffers`.

    Raises
    ------
    SomarayError
        If `text` is neither.
    """
    parts = text.split("_")
    n_axes = 1 if parts[0] == WHOLE else 2
    if not n_axes <= len(parts) <= n_axes + 1:
        raise SomarayError(
            f"{text!r} is not a run: expected chunk size and parallelism, e.g. 100k_4x4x4, or {WHOLE}, and a variant after "
            "another underscore if it is not the default"
        )
    variant = parts[n_axes] if len(parts) > n_axes else DEFAULT
    if not VARIANT_NAME.fullmatch(variant):
        raise SomarayError(f"{text!r} is not a run: expected letters, digits, dots and dashes of a variant")
    if n_axes == 1:
        return None, None, variant
    return parse_count(parts[0]), parse_parallelism(parts[1]), variant


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
    variants: Iterable[Variant] = (Variant(),),
) -> tuple[Run, ...]:
    """Expand the matrix, drop what `exclude` matches, add what `runs` names, each run once, sorted.

    A method that does not read through TileDB has one run for all parallelism that differs in TileDB threads alone, named
    `PxTx1`; `exclude` looks at the parallelism as it was listed.

    Parameters
    ----------
    exclude
        Partial matches, e.g. `{"dataset": "heart", "processes": 8}`; they drop runs of the matrix, not of `runs`.
    runs
        Dataset to runs beside the matrix: `100k_4x4x4` (for every method with chunks among `methods`),
        `method/100k_4x4x4` or the bare name of a method without chunks; the settings may carry a variant.
    variants
        Each multiplies the methods that it reaches. A method that none reaches runs as the default.
    """
    chunk_sizes, parallelism, exclude = tuple(chunk_sizes), tuple(parallelism), tuple(exclude)
    variants = tuple(variants)
    matrix = set()
    for dataset in datasets:
        for method in methods:
            points: list[tuple[int | None, Parallelism | None]] = [(None, None)]
            if METHODS[method].chunked:
                points = [(size, layout) for size in chunk_sizes for layout in parallelism]
            for variant in [each for each in variants if each.reaches(method)] or [Variant()]:
                named = {Run(dataset, method, size, layout, variant.name) for size, layout in points}
                matrix |= set(filter(variant.has, named))
    kept = {run for run in matrix if not any(run.matches(pattern) for pattern in exclude)}
    for dataset, names in (runs or {}).items():
        for name in names:
            kept |= _named_runs(dataset, str(name), methods, variants)
    return tuple(sorted({_canonical(run) for run in kept}, key=lambda run: run.sort_key))


def _canonical(run: Run) -> Run:
    """Take TileDB threads as 1 where TileDB means nothing to the method, so that runs which differ in them alone are one."""
    if run.parallelism is None or "tiledb" not in METHODS[run.method].unaffected_by:
        return run
    return replace(run, parallelism=replace(run.parallelism, tile_threads=1))


def _named_runs(dataset: str, name: str, methods: Sequence[str], variants: Sequence[Variant]) -> set[Run]:
    method, slash, setting = name.rpartition("/")
    if not slash and name in METHODS:
        method, setting = name, WHOLE
    chosen = [method] if method else [known for known in methods if METHODS[known].chunked]
    for known in chosen:
        if known not in METHODS:
            raise SomarayError(f"{name!r} names an unknown method {known!r}: expected one of {', '.join(METHODS)}")
        if METHODS[known].chunked == (setting.partition("_")[0] == WHOLE):
            raise SomarayError(
                f"{name!r}: {known} runs "
                + ("with a chunk size and parallelism, e.g. 100k_4x4x4" if METHODS[known].chunked else f"as {WHOLE}")
            )
    size, layout, variant_name = parse_setting(setting)
    by_name = {DEFAULT: Variant(), **{variant.name: variant for variant in variants}}
    if variant_name not in by_name:
        raise SomarayError(f"{name!r} names an unknown variant {variant_name!r}: expected one of {', '.join(by_name)}")
    variant = by_name[variant_name]
    reached = [known for known in chosen if variant.reaches(known)]
    if chosen and not reached:
        raise SomarayError(f"{name!r}: nothing that variant {variant_name} sets means anything to {', '.join(chosen)}")
    return {Run(dataset, known, size, layout, variant_name) for known in reached}
