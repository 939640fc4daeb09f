"""From the merged YAML mapping to validated settings, with errors that name file, key, value and what is allowed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any

from somaray.credentials import WHERE, uri_holds_credential
from somaray.errors import SomarayError
from somaray.matrix import DEFAULT, Run, Variant, expand
from somaray.registry import METHODS
from somaray.run_settings import reaching, run_settings, tiledb_settings
from somaray.settings import HvgSettings, Limits, ProfileSettings, RunSettings
from somaray.units import parse_bytes, parse_count, parse_parallelism, parse_seconds
from somaray.validation import Key, Origins, load_schema, validate
from somaray.variants import read_variants

TABLE_OF_RUNS = "tables/runs.csv"
"""In every results directory, the last of what tells its runs."""


@dataclass(frozen=True)
class Settings:
    """Everything the rules need, checked and with defaults filled in.

    `profile` is that of the plain capture; `native_traces` asks for a second one, with native traces.
    `replay` asks for a video of each run. `compare_with` is the results directory that the report holds these results against.
    `common` are the settings of all runs, `variants` those that runs of each variant have.
    """

    catalogue: Mapping[str, Mapping[str, Any]]
    runs: tuple[Run, ...]
    replicates: int
    hvg: HvgSettings
    profile: ProfileSettings
    limits: Limits
    imported: tuple[str, ...]
    common: RunSettings = field(default_factory=RunSettings)
    variants: Mapping[str, RunSettings] = field(default_factory=dict)
    native_traces: bool = False
    replay: bool = False
    compare_with: str | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets that runs need, sorted."""
        return tuple(sorted({run.dataset for run in self.runs}))

    def of(self, run: Run) -> RunSettings:
        """Settings of one run: its variant's, without what means nothing to its method.

        Raises
        ------
        SomarayError
            If there is no such variant.
        """
        known = {DEFAULT: self.common, **self.variants}
        if run.variant not in known:
            raise SomarayError(f"{run.path}: unknown variant {run.variant!r}: expected one of {', '.join(known)}")
        has_workers = run.parallelism is not None and run.parallelism.processes > 0
        return reaching(known[run.variant], METHODS[run.method].unaffected_by, has_workers)


def load_settings(config: Mapping[str, Any], files: Sequence[str | Path] = ()) -> Settings:
    """Check a merged configuration and turn it into settings.

    Parameters
    ----------
    config
        All configuration files, merged in order.
    files
        Those files, in the order they were merged, to name in errors.

    Raises
    ------
    SomarayError
        At the first mistake, naming file, key, value and what is allowed.
    """
    origins = Origins(files)
    config = validate(load_schema(), config, origins)
    common = run_settings(config, (), origins)
    axis, variants = read_variants(config["variants"], common, origins)
    for name, entry in config["catalogue"].items():
        if "tiledb" in entry:
            entry["tiledb"] = tiledb_settings(entry["tiledb"], ("catalogue", name, "tiledb"), origins)
        for key in ("uri", "releases"):
            if uri_holds_credential(entry.get(key) or ""):
                raise origins.error(("catalogue", name, key), f"credentials do not belong in a configuration: {WHERE}")
        for key in ("n_obs", "n_vars"):
            if key in entry:
                entry[key] = _parse(parse_count, entry[key], ("catalogue", name, key), origins)
    hvg = HvgSettings(**config["hvg"])
    _check_hvg(hvg, config["methods"], origins)
    return Settings(
        catalogue=config["catalogue"],
        runs=_runs(config, axis, origins),
        replicates=config["replicates"],
        hvg=hvg,
        profile=ProfileSettings(**{**config["profile"], "native_traces": False}),
        native_traces=config["profile"]["native_traces"],
        replay=config["replay"],
        compare_with=_other_results(config["compare_with"], origins),
        limits=_limits(config["limits"], origins),
        imported=_imported(config["imported"], origins),
        common=common,
        variants=variants,
    )


def _imported(patterns: Sequence[str], origins: Origins) -> tuple[str, ...]:
    files: set[str] = set()
    for index, pattern in enumerate(patterns):
        found = glob(pattern, recursive=True)
        if not found:
            raise origins.error(("imported", index), f"{pattern!r} matches no file: expected JSON records")
        files |= set(found)
    return tuple(sorted(files))


def _other_results(folder: str | None, origins: Origins) -> str | None:
    if folder is not None and not (Path(folder) / TABLE_OF_RUNS).is_file():
        raise origins.error(("compare_with",), f"{folder!r} has no {TABLE_OF_RUNS}: expected a results directory")
    return folder


def _parse(parser: Any, value: Any, key: Key, origins: Origins) -> Any:
    try:
        return parser(value)
    except SomarayError as error:
        raise origins.error(key, str(error)) from error


def _patterns(config: Mapping[str, Any]) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    """Every partial match of runs, with its key: those of `exclude`, and those of variants."""
    for index, pattern in enumerate(config["exclude"]):
        yield ("exclude", index), pattern
    for name, variant in config["variants"].items():
        for index, pattern in enumerate((variant or {}).get("only", ())):
            yield ("variants", name, "only", index), pattern


def _runs(config: Mapping[str, Any], axis: Sequence[Variant], origins: Origins) -> tuple[Run, ...]:
    catalogue = ", ".join(config["catalogue"]) or "none"
    patterns = list(_patterns(config))
    datasets: list[tuple[Key, str]] = [(("datasets", index), name) for index, name in enumerate(config["datasets"])]
    datasets += [(("runs", name), name) for name in config["runs"]]
    datasets += [((*key, "dataset"), pattern["dataset"]) for key, pattern in patterns if "dataset" in pattern]
    for key, name in datasets:
        if name not in config["catalogue"]:
            raise origins.error(key, f"unknown dataset {name!r}: expected one of the catalogue's: {catalogue}")
    methods: list[tuple[Key, str]] = [(("methods", index), name) for index, name in enumerate(config["methods"])]
    methods += [((*key, "method"), pattern["method"]) for key, pattern in patterns if "method" in pattern]
    for key, name in methods:
        if name not in METHODS:
            raise origins.error(key, f"unknown method {name!r}: expected one of {', '.join(METHODS)}")
    lists = {
        section: [_parse(parser, value, (section, index), origins) for index, value in enumerate(config[section])]
        for section, parser in (("chunk_sizes", parse_count), ("parallelism", parse_parallelism))
    }
    variants = {DEFAULT, *config["variants"]}
    for key, pattern in patterns:
        for part, parser in (("chunk_size", parse_count), ("parallelism", parse_parallelism)):
            if part in pattern:
                _parse(parser, pattern[part], (*key, part), origins)
        if pattern.get("variant", DEFAULT) not in variants:
            known = ", ".join(sorted(variants))
            raise origins.error((*key, "variant"), f"unknown variant {pattern['variant']!r}: expected one of {known}")
    for dataset, names in config["runs"].items():
        for index, name in enumerate(names):
            _parse(
                lambda text, of=dataset: expand([], config["methods"], [], [], [], {of: [text]}, axis),
                name,
                ("runs", dataset, index),
                origins,
            )
    runs = expand(
        config["datasets"],
        config["methods"],
        lists["chunk_sizes"],
        lists["parallelism"],
        config["exclude"],
        config["runs"],
        axis,
    )
    if not runs:
        raise origins.error((), "no run is left: expected datasets, methods, chunk_sizes and parallelism, or runs")
    for dataset in sorted({run.dataset for run in runs}):
        _check_place(config["catalogue"][dataset], ("catalogue", dataset), origins)
    return runs


def _check_place(entry: Mapping[str, Any], key: Key, origins: Origins) -> None:
    """See that what a run will read is there, where a look at the file system tells."""
    path, uri = entry.get("path"), entry.get("uri")
    if path is not None and not Path(path).is_file():
        raise origins.error((*key, "path"), f"{path!r} is not there: expected a file of kind {entry['kind']}")
    if uri is not None and "://" not in uri and not Path(uri).is_dir():
        raise origins.error((*key, "uri"), f"{uri!r} is not there: expected the folder of an experiment, or a URI")


def _check_hvg(hvg: HvgSettings, methods: Sequence[str], origins: Origins) -> None:
    if hvg.flavor.startswith("seurat_v3") and hvg.n_top_genes is None:
        raise origins.error(("hvg", "n_top_genes"), f"flavor {hvg.flavor} needs a number of genes, got null")
    for low, high in (("min_mean", "max_mean"), ("min_disp", "max_disp")):
        lower, upper = getattr(hvg, low), getattr(hvg, high)
        if upper is not None and lower >= upper:
            raise origins.error(("hvg", low), f"{lower} is not below hvg.{high}, which is {upper}")


def _limits(limits: Mapping[str, Any], origins: Origins) -> Limits:
    memory, time = limits["memory"], limits["time"]
    memory_bytes = None
    if memory == "auto":
        memory_bytes = AUTO_MEMORY_BYTES
    elif memory is not None:
        memory_bytes = _parse(parse_bytes, memory, ("limits", "memory"), origins)
        if memory_bytes == 0:
            raise origins.error(("limits", "memory"), "0 leaves nothing to run in: expected a size, auto or null")
    time_seconds = None if time is None else _parse(parse_seconds, time, ("limits", "time"), origins)
    return Limits(memory_bytes=memory_bytes, time_seconds=time_seconds)


AUTO_MEMORY_BYTES = -1
"""Stands for `auto`: the host that measures works it out, since it may be another than the one that plans."""
