"""`census`: highly variable genes as cellxgene_census computes them, in two reads of X by threads of one process.

It knows the flavour `seurat_v3` alone. Its threads are its own choice, two more than there are cores, and so are TileDB's.
"""

from typing import TYPE_CHECKING, Any

import pandas as pd
from cellxgene_census.experimental.pp import highly_variable_genes

from somaray.matrix import Run
from somaray.settings import HvgSettings

if TYPE_CHECKING:
    from distributed import Client

    from somaray.datasets.store import Source


def compute_hvg(source: "Source", run: Run, hvg: HvgSettings, client: "Client | None", phase: Any) -> pd.DataFrame:
    """Pick genes on the query itself; `run` and `client` mean nothing here."""
    with phase("open"):
        experiment = source.open()
        query = source.query(experiment)
    with experiment, query, phase("hvg"):
        table = highly_variable_genes(
            query,
            n_top_genes=hvg.n_top_genes,
            layer=source.layer,
            flavor=hvg.flavor,
            span=hvg.span,
            batch_key=hvg.batch_key,
        )
        # It names genes by joinid.
        names = query.var(column_names=list(dict.fromkeys(["soma_joinid", source.var_id]))).concat().to_pandas()
        by_joinid = names.set_index("soma_joinid", drop=False)[source.var_id]
        return table.set_index(pd.Index(by_joinid.loc[table.index].astype(object), name=source.var_id))
