"""Named bundles of settings laid over runs, the fourth axis of the matrix, from a configuration."""

from collections.abc import Mapping
from typing import Any

from somaray.matrix import DEFAULT, VARIANT_NAME, Variant
from somaray.run_settings import run_settings, settings_named
from somaray.settings import RunSettings
from somaray.validation import Origins


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
