"""`soma-dask`: the original notes' way. `to_anndata` with Dask, then Scanpy on the lazy matrix."""

from typing import TYPE_CHECKING, Any

from somaray.matrix import Run
from somaray.methods.scanpy_steps import select_genes
from somaray.settings import HvgSettings

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from somaray.datasets.store import Source


def compute_hvg(source: "Source", run: Run, hvg: HvgSettings, client: "Client", phase: Any) -> "pd.DataFrame":
    """Pick genes with every block of X read by a Dask task of `run.chunk_size` rows.

    TileDB threads and buffers travel in the experiment's context: `dask={"tiledb_config": …}` of `to_anndata` is ignored by
    the library.
    """
    with phase("open"):
        experiment = source.open()
        query = source.query(experiment)
    with experiment, query:
        with phase("to_anndata"):
            adata = query.to_anndata(
                source.layer,
                obs_id_name=source.obs_id,
                var_id_name=source.var_id,
                column_names=source.column_names(experiment, hvg.batch_key),
                dask={"chunk_size": run.chunk_size},
            )
        return select_genes(adata, hvg, phase)


def is_chunk_read(key: Any) -> bool:
    """Whether a task's key is that of one read of a chunk.

    Dask fuses a read with the steps after it and names the result after all of them, starting with `array`, the joinids that
    the task carries; the joinids alone (`array-HASH`) are no read.
    """
    if not (isinstance(key, tuple) and isinstance(key[0], str)):
        return False
    layers = key[0].split("-")[:-1]
    return "sparse_chunk" in layers or (layers[:1] == ["array"] and len(layers) > 1)
