"""`in-memory`: the same Scanpy calls on an AnnData read whole. Also the reference, where it fits."""

from typing import TYPE_CHECKING, Any

from somaray.matrix import Run
from somaray.methods.scanpy_steps import select_genes
from somaray.settings import HvgSettings

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from somaray.datasets.store import Source

PEAK_BYTES_PER_NONZERO = 32
"""Memory that reading X whole and picking genes takes at its peak, a non-zero: CSR counts, their transformed copy, `expm1`
of that, and the Arrow tables before. Measured 26 (207 million non-zeros, 5.1 GiB); only used to say beforehand that a
dataset does not fit."""


def compute_hvg(source: "Source", run: Run, hvg: HvgSettings, client: "Client | None", phase: Any) -> "pd.DataFrame":
    """Pick genes on X held whole; `run` and `client` mean nothing here."""
    with phase("open"):
        experiment = source.open()
        query = source.query(experiment)
    with experiment, query:
        with phase("to_anndata"):
            adata = query.to_anndata(source.layer, obs_id_name=source.obs_id, var_id_name=source.var_id)
        return select_genes(adata, hvg, phase)
