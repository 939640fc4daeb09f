"""Scanpy's own calls on an AnnData, in memory or lazy: what both Scanpy methods share."""

from typing import TYPE_CHECKING, Any

import numpy as np
import scanpy as sc

from somaray.errors import SomarayError
from somaray.settings import HvgSettings

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def scanpy_arguments(hvg: HvgSettings) -> dict[str, Any]:
    """Turn settings into keyword arguments of `scanpy.pp.highly_variable_genes`."""
    return {
        "flavor": hvg.flavor,
        "n_top_genes": hvg.n_top_genes,
        "n_bins": hvg.n_bins,
        "min_mean": hvg.min_mean,
        "max_mean": hvg.max_mean,
        "min_disp": hvg.min_disp,
        "max_disp": np.inf if hvg.max_disp is None else hvg.max_disp,
        "span": hvg.span,
        "batch_key": hvg.batch_key,
    }


def select_genes(adata: "AnnData", hvg: HvgSettings, phase: Any) -> "pd.DataFrame":
    """Normalise and log-transform raw counts (not for the `seurat_v3` flavours, which take counts), then pick genes.

    Parameters
    ----------
    adata
        Raw counts, cells × genes; changed in place.
    hvg
        Settings.
    phase
        `phase(name)` brackets each step.

    Raises
    ------
    SomarayError
        If so many genes have no counts that Scanpy's bins by deciles (`cell_ranger`) fall together.

    Returns
    -------
    Scanpy's columns, one row a gene, indexed by `adata.var_names`.
    """
    if not hvg.flavor.startswith("seurat_v3"):
        with phase("normalize"):
            sc.pp.normalize_total(adata, target_sum=hvg.target_sum)
        with phase("log1p"):
            sc.pp.log1p(adata)
    with phase("hvg"):
        try:
            return sc.pp.highly_variable_genes(adata, inplace=False, **scanpy_arguments(hvg))
        except ValueError as error:
            if "Bin edges must be unique" not in str(error):
                raise
            raise SomarayError(
                f"flavor {hvg.flavor}: Scanpy cannot put {adata.n_vars} genes in bins by their means, as too many have none; "
                "leave genes without counts out by a var_filter, set batch_key (which does so), or choose another flavour"
            ) from error
