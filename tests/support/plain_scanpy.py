"""Scanpy on a file, by hand: what every method's result is held against in tests."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scanpy as sc


def plain_hvg(path: Path, target_sum: float | None = None, **arguments) -> pd.DataFrame:
    """Normalise (not for the flavours that take counts), log-transform and select, as Scanpy's documentation has it."""
    adata = anndata.read_h5ad(path)
    if not arguments.get("flavor", "seurat").startswith("seurat_v3"):
        sc.pp.normalize_total(adata, target_sum=target_sum)
        sc.pp.log1p(adata)
    return sc.pp.highly_variable_genes(adata, inplace=False, **arguments)


def assert_same_genes(ours: pd.DataFrame, plain: pd.DataFrame, tolerance: float = 1e-6) -> None:
    """The same genes in the same order, the same selection, scores within `tolerance` relative to at least 1."""
    assert list(ours.index) == list(plain.index)
    assert set(ours.index[ours["highly_variable"]]) == set(plain.index[plain["highly_variable"]])
    scores = [column for column in ("dispersions", "variances_norm") if column in plain]
    assert scores
    for column in scores:
        a, b = ours[column].to_numpy(float), plain[column].to_numpy(float)
        assert (np.isnan(a) == np.isnan(b)).all(), column
        difference = np.abs(a - b) / np.maximum(1, np.abs(b))
        assert np.nanmax(difference) <= tolerance, column
