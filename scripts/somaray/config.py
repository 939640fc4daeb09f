"""From the merged YAML mapping to validated settings, with errors that name file, key, value and what is allowed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

from somaray.errors import SomarayError
from somaray.matrix import Run, expand
from somaray.registry import METHODS
from somaray.settings import DaskSettings, HvgSettings, Limits, ProfileSettings
from somaray.units import parse_bytes, parse_count, parse_parallelism, parse_seconds
from somaray.validation import Key, Origins, load_schema, validate


@dataclass(frozen=True)
class Settings:
    """Everything the rules need, checked and with defaults filled in."""

    catalogue: Mapping[str, Mapping[str, Any]]
    runs: tuple[Run, ...]
    replicates: int
    hvg: HvgSettings
    profile: ProfileSettings
    tiledb: Mapping[str, str]
    dask: DaskSettings
    limits: Limits
    imported: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets that runs need, sorted."""
        return tuple(sorted({run.dataset for run in self.runs}))


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
    config["tiledb"] = _tiledb_settings(config["tiledb"], ("tiledb",), origins)
    for name, entry in config["catalogue"].items():
        if "tiledb" in entry:
            entry["tiledb"] = _tiledb_settings(entry["tiledb"], ("catalogue", name, "tiledb"), origins)
        for key in ("n_obs", "n_vars"):
            if key in entry:
                entry[key] = _parse(parse_count, entry[key], ("catalogue", name, key), origins)
    hvg = HvgSettings(**config["hvg"])
    _check_hvg(hvg, config["methods"], origins)
    return Settings(
        catalogue=config["catalogue"],
        runs=_runs(config, origins),
        replicates=config["replicates"],
        hvg=hvg,
        profile=ProfileSettings(**config["profile"]),
        tiledb=config["tiledb"],
        dask=DaskSettings(**config["dask"]),
        limits=_limits(config["limits"], origins),
        imported=_imported(config["imported"], origins),
    )


def _imported(patterns: Sequence[str], origins: Origins) -> tuple[str, ...]:
    files: set[str] = set()
    for index, pattern in enumerate(patterns):
        found = glob(pattern, recursive=True)
        if not found:
            raise origins.error(("imported", index), f"{pattern!r} matches no file: expected JSON records")
        files |= set(found)
    return tuple(sorted(files))


def _parse(parser: Any, value: Any, key: Key, origins: Origins) -> Any:
    try:
        return parser(value)
    except SomarayError as error:
        raise origins.error(key, str(error)) from error


def _runs(config: Mapping[str, Any], origins: Origins) -> tuple[Run, ...]:
    catalogue = ", ".join(config["catalogue"]) or "none"
    excluded = list(enumerate(config["exclude"]))
    datasets: list[tuple[Key, str]] = [(("datasets", index), name) for index, name in enumerate(config["datasets"])]
    datasets += [(("runs", name), name) for name in config["runs"]]
    datasets += [(("exclude", index, "dataset"), entry["dataset"]) for index, entry in excluded if "dataset" in entry]
    for key, name in datasets:
        if name not in config["catalogue"]:
            raise origins.error(key, f"unknown dataset {name!r}: expected one of the catalogue's: {catalogue}")
    methods: list[tuple[Key, str]] = [(("methods", index), name) for index, name in enumerate(config["methods"])]
    methods += [(("exclude", index, "method"), entry["method"]) for index, entry in excluded if "method" in entry]
    for key, name in methods:
        if name not in METHODS:
            raise origins.error(key, f"unknown method {name!r}: expected one of {', '.join(METHODS)}")
    lists = {
        section: [_parse(parser, value, (section, index), origins) for index, value in enumerate(config[section])]
        for section, parser in (("chunk_sizes", parse_count), ("parallelism", parse_parallelism))
    }
    for index, entry in excluded:
        for part, parser in (("chunk_size", parse_count), ("parallelism", parse_parallelism)):
            if part in entry:
                _parse(parser, entry[part], ("exclude", index, part), origins)
    for dataset, names in config["runs"].items():
        for index, name in enumerate(names):
            _parse(
                lambda text, of=dataset: expand([], config["methods"], [], [], [], {of: [text]}),
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


def _tiledb_settings(settings: Mapping[str, Any], key: Key, origins: Origins) -> dict[str, str]:
    """TileDB takes strings; sizes with a unit become bytes, booleans its own words."""
    secret = next(
        (name for name in settings if "secret" in name or "session_token" in name or "access_key" in name), None
    )
    if secret:
        raise origins.error(
            (*key, secret),
            "credentials do not belong in a configuration: expected them in the environment (AWS_ACCESS_KEY_ID, …)",
        )
    return {name: _tiledb_value(value) for name, value in settings.items()}


def _tiledb_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if text[:1].isdigit() and text.upper().endswith("B"):
        try:
            return str(parse_bytes(text))
        except SomarayError:
            return text
    return text
