"""`in-memory`: the same Scanpy calls on an AnnData read whole. Also the reference, where it fits."""

from typing import TYPE_CHECKING, Any

from somaray.matrix import Run
from somaray.methods.scanpy_steps import select_genes
from somaray.settings import HvgSettings

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from somaray.datasets.store import Source


def compute_hvg(source: "Source", run: Run, hvg: HvgSettings, client: "Client | None", phase: Any) -> "pd.DataFrame":
    """Pick genes on X held whole; `run` and `client` mean nothing here."""
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
            )
        return select_genes(adata, hvg, phase)
