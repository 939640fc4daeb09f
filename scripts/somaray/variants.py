"""Named bundles of settings laid over runs, the fourth axis of the matrix, from a configuration."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import reduce
from pathlib import Path
from typing import Any

from somaray.matrix import DEFAULT, VARIANT_NAME, Variant
from somaray.run_settings import run_settings, settings_named
from somaray.settings import RunSettings
from somaray.validation import Origins


def keep_last_variants(config: Mapping[str, Any], files: Sequence[str | Path]) -> None:
    """Leave of each variant what the last file that names it says, in place.

    Snakemake merges the mappings of all files, and an earlier file's settings, or its `only`, would stay where a later one
    means a variant of its own by the same name. One that the command line changes stays as merged.

    Parameters
    ----------
    config
        All of them, merged; not validated yet.
    files
        Those files, in the order they were merged.
    """
    variants = config.get("variants")
    if not isinstance(variants, dict):
        return
    origins = Origins(files)
    for name, merged in variants.items():
        said = origins.values(("variants", name))
        if len(said) > 1 and merged == reduce(merge_config, said):
            variants[name] = deepcopy(said[-1])


def merge_config(below: Any, above: Any) -> Any:
    """Lay one configuration over another as Snakemake does: mappings merge, everything else is replaced."""
    if not isinstance(above, Mapping):
        return above
    below = below if isinstance(below, Mapping) else {}
    return {**below, **{key: merge_config(below.get(key, {}), value) for key, value in above.items()}}


def read_variants(
    raw: Mapping[str, Any], common: RunSettings, origins: Origins
) -> tuple[tuple[Variant, ...], dict[str, RunSettings]]:
    """Read the mapping `variants`: the axis, and the settings that runs of each variant have.

    Parameters
    ----------
    raw
        Validated; a variant that is None is left out.
    common
        Settings of all runs.

    Returns
    -------
    Both lack the default if the mapping does, save that the settings always have it.

    Raises
    ------
    SomarayError
        If a name is no name, the default is given settings, or a variant's settings are wrong.
    """
    axis, settings = [], {DEFAULT: common}
    for name, entry in raw.items():
        if not VARIANT_NAME.fullmatch(name):
            raise origins.error(
                ("variants", name), f"{name!r} is not allowed as a name: expected letters, digits, dots and dashes"
            )
        if name == DEFAULT and entry:
            raise origins.error(
                ("variants", name, next(iter(entry))),
                f"{DEFAULT} is a run with nothing laid over it: expected {{}}, and settings of all runs at the top level",
            )
        if entry is None:
            continue
        only = None if "only" not in entry else tuple(entry["only"])
        axis.append(Variant(name, settings_named(entry), only))
        settings[name] = run_settings(entry, ("variants", name), origins, common)
    return tuple(axis), settings
