"""A small store of Census's shape: its 28 columns of obs, its X/raw, its folders."""

from pathlib import Path

from somaray.datasets.prepare import prepare


def write_census(root: Path, n_obs: int = 900, n_vars: int = 400, nnz_per_obs: float = 30, seed: int = 0) -> Path:
    """Write `census_data/homo_sapiens` below `root` and return that folder."""
    organism = root / "census_data" / "homo_sapiens"
    entry = {"kind": "synthetic", "n_obs": n_obs, "n_vars": n_vars, "nnz_per_obs": nnz_per_obs, "seed": seed}
    prepare("made", entry, organism, "f")
    return organism
