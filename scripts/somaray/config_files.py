"""Read a configuration from its files, as Snakemake does for the workflow."""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from somaray.config import Settings, load_settings
from somaray.errors import SomarayError
from somaray.variants import keep_last_variants, merge_config

SHIPPED = ("config/datasets.yaml", "config/config.yaml")
"""What the workflow reads before the files of the command line."""


def load_files(added: Sequence[str], folder: str | Path = ".") -> tuple[Settings, list[Path]]:
    """Load the settings of a checkout, with files of the command line laid over its own.

    Parameters
    ----------
    added
        As given to `snakemake --configfile`.
    folder
        The checkout.

    Returns
    -------
    The settings, and all files in the order they were merged, to name in errors.

    Raises
    ------
    SomarayError
        If a file is missing or is no YAML mapping, or at the first mistake in what they say.
    """
    files = [Path(folder) / name for name in SHIPPED]
    if not all(path.is_file() for path in files):
        raise SomarayError(f"{files[0]}: no such file, expected to be started in the checkout, as snakemake is")
    files += map(Path, added)
    config: Any = reduce(merge_config, map(_read, files), {})
    keep_last_variants(config, files)
    return load_settings(config, files), files


def _read(path: Path) -> Any:
    try:
        read = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SomarayError(f"{path}: {error.strerror or error}, expected a configuration") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SomarayError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise SomarayError(f"{path}: expected a mapping of keys to values")
    return read
