"""What `benchmarks/plan.py` measures: synthetic datasets that differ in all that the plan looks at, and runs on them."""

from collections.abc import Iterator
from dataclasses import dataclass

from somaray.matrix import Run, parse_setting
from somaray.settings import HvgSettings, RunSettings

SMALL_BUFFERS = "small-buffers"
ONE_COLUMN = "one-column"
VARIANTS = {
    SMALL_BUFFERS: RunSettings(
        tiledb={"soma.init_buffer_bytes": str(16 * 2**20)}, environment={"ARROW_DEFAULT_MEMORY_POOL": "system"}
    ),
    ONE_COLUMN: RunSettings(obs_columns=("cell_type",), var_columns=()),
}

SEURAT = HvgSettings(n_top_genes=2000)
OF_COUNTS = HvgSettings(flavor="seurat_v3", n_top_genes=2000)


@dataclass(frozen=True)
class Bench:
    """A synthetic dataset, and the runs on it by method; with a flavour after a colon, that one's.

    `counts_of` names a dataset whose cells it has, ingested from an h5ad file without what obs claims of their totals.
    """

    n_obs: int
    n_vars: int
    nnz_per_obs: int
    runs: dict[str, str]
    counts_of: str | None = None

    def entry(self) -> dict[str, object]:
        """As in a catalogue."""
        sizes = {"n_obs": self.n_obs, "n_vars": self.n_vars, "nnz_per_obs": self.nnz_per_obs}
        return {"kind": "synthetic", "seed": 7, **sizes}


BENCHES = {
    "small": Bench(
        6_000,
        8_000,
        600,
        {
            "in-memory": "whole",
            "census": "whole",
            "soma-dask": "1k_1x1x1 3k_2x1x1 6k_0x1x1",
            "one-pass": "6k_0x1x1 2k_2x1x1",
            "h5ad-dask": "2k_1x1x1 2k_0x2x1",
            "zarr-dask": "2k_1x1x1",
        },
    ),
    "wide": Bench(
        12_000,
        60_000,
        2_000,
        {
            "in-memory": "whole whole_one-column",
            "census": "whole",
            "soma-dask": "2k_2x1x1 4k_1x2x1 6k_1x1x2 6k_2x1x1_small-buffers",
            "one-pass": "3k_0x2x1 6k_2x1x1",
            "h5ad-dask": "3k_2x1x1 6k_1x1x1",
            "zarr-dask": "3k_1x2x1 6k_1x1x1",
            "soma-dask:seurat_v3": "6k_2x1x1",
            "in-memory:seurat_v3": "whole",
        },
    ),
    "large": Bench(
        60_000,
        25_000,
        1_000,
        {
            "in-memory": "whole whole_small-buffers",
            "census": "whole whole_small-buffers",
            "soma-dask": "5k_2x1x1 15k_1x1x1 15k_1x2x2 20k_0x2x1 30k_2x1x1 10k_4x1x1 20k_2x1x1_small-buffers",
            "one-pass": "20k_0x2x1 10k_1x2x2 20k_4x1x1 10k_2x2x1",
            "h5ad-dask": "10k_2x1x1 30k_0x2x1 15k_2x2x1",
            "zarr-dask": "10k_2x1x1 30k_0x2x1 15k_2x2x1",
            "soma-dask:seurat_v3": "15k_2x1x1",
            "one-pass:seurat_v3": "20k_2x1x1",
        },
    ),
    "plain": Bench(
        60_000, 25_000, 1_000, {"one-pass": "20k_0x2x1 10k_1x2x2 20k_4x1x1 10k_2x2x1 20k_2x1x1"}, counts_of="large"
    ),
    "tall": Bench(
        150_000,
        4_000,
        80,
        {
            "in-memory": "whole whole_one-column",
            "census": "whole",
            "soma-dask": "25k_2x1x1 75k_1x1x1 50k_1x2x1_one-column",
            "one-pass": "50k_0x2x1 25k_2x1x1",
            "h5ad-dask": "50k_1x2x1",
            "zarr-dask": "25k_2x1x1",
        },
    ),
    "crowd": Bench(
        1_000_000,
        1_000,
        10,
        {
            "in-memory": "whole",
            "census": "whole",
            "soma-dask": "200k_2x1x1 500k_0x1x1",
            "one-pass": "200k_0x2x1 200k_2x1x1",
            "h5ad-dask": "200k_2x1x1",
            "zarr-dask": "200k_1x1x1",
        },
    ),
    "patchy": Bench(
        240_000,
        8_000,
        350,
        {
            "in-memory": "whole",
            "census": "whole",
            "soma-dask": "20k_2x1x1 40k_1x1x1 60k_2x2x1 80k_0x1x1 40k_2x1x1_small-buffers",
            "one-pass": "80k_0x2x1 40k_2x2x1",
            "h5ad-dask": "30k_2x1x1 60k_1x2x1",
            "zarr-dask": "30k_2x1x1 80k_1x1x1",
            "soma-dask:seurat_v3": "40k_1x1x1",
        },
    ),
}


def runs_of(name: str) -> Iterator[tuple[Run, HvgSettings]]:
    """Runs on a dataset, each with its HVG settings."""
    for spec, settings in BENCHES[name].runs.items():
        method, _, flavor = spec.partition(":")
        hvg = OF_COUNTS if flavor or method == "census" else SEURAT
        for setting in settings.split():
            yield Run(name, method, *parse_setting(setting)), hvg
