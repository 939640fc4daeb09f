"""The methods there are, by name: one line each, nothing imported until a run needs it."""

from dataclasses import dataclass
from typing import Literal

SETTINGS = ("tiledb", "dask", "library_threads", "environment", "obs_columns", "var_columns")
"""What a variant can lay over a run; `dask` without its `library_threads`, which reach processes without Dask too."""

FLAVORS = ("seurat", "cell_ranger", "seurat_v3", "seurat_v3_paper")


@dataclass(frozen=True)
class Method:
    """Where a method's code lives and what shapes its runs.

    Parameters
    ----------
    module
        Module with `compute_hvg(source, run, hvg, client, phase) -> DataFrame`.
    summary
        What it does, in a few words.
    chunked
        Whether chunk size and parallelism mean anything to it; if not it has one run a dataset, `whole`.
    flavors
        HVG flavours it can do; with another its rows say `unsupported`.
    unaffected_by
        Settings that mean nothing to it, of `SETTINGS`; a variant of nothing else does not multiply its runs, and if `tiledb`
        is among them neither do TileDB threads, which are then counted as 1.
    export
        AnnData file that it reads in place of the experiment, made by the workflow from the same cells and genes.
    packages
        Libraries whose versions can change its result, beside those that all methods share.
    """

    module: str
    summary: str
    chunked: bool = True
    flavors: tuple[str, ...] = FLAVORS
    unaffected_by: tuple[str, ...] = ()
    export: Literal["h5ad", "zarr"] | None = None
    packages: tuple[str, ...] = ()


_NOT_OF_FILES = ("tiledb", "obs_columns", "var_columns")

METHODS = {
    "soma-dask": Method("somaray.methods.soma_dask", "to_anndata with Dask, then Scanpy, as the original notes ran it"),
    "in-memory": Method(
        "somaray.methods.in_memory",
        "the same calls on X read whole; also the reference",
        chunked=False,
        unaffected_by=("dask",),
    ),
    "one-pass": Method(
        "somaray.methods.one_pass",
        "sums by gene straight from X, read as few times as the flavour allows",
        # It reads of obs and var what it needs, and nothing else.
        unaffected_by=("obs_columns", "var_columns"),
    ),
    "h5ad-dask": Method(
        "somaray.methods.file_dask",
        "an h5ad file of the same cells read lazily by AnnData, then Scanpy",
        unaffected_by=_NOT_OF_FILES,
        export="h5ad",
        packages=("h5py",),
    ),
    "zarr-dask": Method(
        "somaray.methods.file_dask",
        "a zarr store of the same cells read lazily by AnnData, then Scanpy",
        unaffected_by=_NOT_OF_FILES,
        export="zarr",
        packages=("numcodecs", "zarr"),
    ),
    "census": Method(
        "somaray.methods.census",
        "cellxgene_census's own computation, on threads of one process",
        chunked=False,
        flavors=("seurat_v3",),
        unaffected_by=("dask", "obs_columns", "var_columns"),
        packages=("cellxgene-census",),
    ),
}
