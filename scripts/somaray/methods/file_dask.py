"""`h5ad-dask` and `zarr-dask`: AnnData's lazy reading of a file of the same cells and genes, then Scanpy on the lazy matrix.

As AnnData's and Scanpy's documentation have it: obs and var read with `read_elem`, X opened with `read_elem_lazy` in chunks of
whole rows. Each task opens the file anew. HDF5 lets one thread of a process in at a time, so that `h5ad-dask` gains from
processes alone.
"""

from typing import TYPE_CHECKING, Any

import anndata
from anndata.experimental import read_elem_lazy

from somaray.matrix import Run
from somaray.methods.scanpy_steps import select_genes
from somaray.settings import HvgSettings

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from somaray.datasets.store import Source


def compute_hvg(source: "Source", run: Run, hvg: HvgSettings, client: "Client", phase: Any) -> "pd.DataFrame":
    """Pick genes from `source.exported`, with every chunk of X read by a Dask task of `run.chunk_size` rows."""
    with phase("open"):
        adata = open_lazily(source, run.chunk_size)
    return select_genes(adata, hvg, phase)


def open_lazily(source: "Source", chunk_size: int | None) -> anndata.AnnData:
    """Open an exported file: obs and var in memory, X as a Dask array of `chunk_size` rows a chunk."""
    path = str(source.exported)
    if path.endswith(".h5ad"):
        import h5py

        # Tasks open the file by its name, nothing needs it open here.
        with h5py.File(path, "r") as file:
            return _from_group(file, chunk_size)
    import zarr

    return _from_group(zarr.open_consolidated(path, mode="r"), chunk_size)


def _from_group(group: Any, chunk_size: int | None) -> anndata.AnnData:
    return anndata.AnnData(
        X=read_elem_lazy(group["X"], chunks=(chunk_size, -1)),
        obs=anndata.io.read_elem(group["obs"]),
        var=anndata.io.read_elem(group["var"]),
    )
