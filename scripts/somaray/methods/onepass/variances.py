"""The tables of `seurat_v3` and `seurat_v3_paper`: Scanpy's formulas and its loess, on sums by gene."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from somaray.errors import SomarayError
from somaray.settings import HvgSettings

DEFAULT_TOP_GENES = 2000
"""Scanpy's own default for these flavours."""

FEWEST_NEIGHBOURS = 3
"""Genes that a parabola is fitted to at least. With fewer loess fails, and with none takes the process with it."""


def expected_deviation(
    mean: NDArray[np.float64], variance: NDArray[np.float64], hvg: HvgSettings
) -> NDArray[np.float64]:
    """Standard deviation that a gene's mean lets expect: loess of log variance on log mean over genes that vary.

    Raises
    ------
    SomarayError
        Where loess fails: genes too few or too alike.
    """
    from skmisc.loess import loess

    fitted = np.zeros(len(mean))
    varies = variance > 0
    if varies.any():
        if hvg.span * varies.sum() < FEWEST_NEIGHBOURS:
            raise SomarayError(
                f"flavor {hvg.flavor}: {varies.sum()} varying genes are too few for loess with span {hvg.span}"
            )
        try:
            model = loess(np.log10(mean[varies]), np.log10(variance[varies]), span=hvg.span, degree=2)
            model.fit()
            fitted[varies] = model.outputs.fitted_values
        except ValueError as error:
            reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
            raise SomarayError(
                f"flavor {hvg.flavor}: loess with span {hvg.span} fails on {varies.sum()} varying genes ({reason}); "
                "a larger span may help"
            ) from error
    return np.sqrt(10**fitted)


def ceiling(mean: NDArray[np.float64], deviation: NDArray[np.float64], n_cells: int) -> NDArray[np.float64]:
    """Value above which a gene's counts are cut, by gene."""
    return deviation * np.sqrt(n_cells) + mean


def normalised_variance(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], clipped: NDArray[np.float64], n_cells: int
) -> NDArray[np.float64]:
    """Variance of standardised, cut counts, by gene; not a number for a batch of one cell.

    Parameters
    ----------
    clipped
        Genes × 3: sum and sum of squares of the counts that are not cut, and how many are.
    """
    highest = ceiling(mean, deviation, n_cells)
    total = clipped[:, 0] + clipped[:, 2] * highest
    square = clipped[:, 1] + clipped[:, 2] * highest**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return (1 / ((n_cells - 1) * np.square(deviation))) * (n_cells * np.square(mean) + square - 2 * total * mean)


def variance_table(
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    normalised: NDArray[np.float64],
    var_names: pd.Index,
    hvg: HvgSettings,
) -> pd.DataFrame:
    """Rank genes in each batch and combine the ranks.

    Parameters
    ----------
    mean, variance
        Over all cells.
    normalised
        Batches × genes.
    """
    n_top_genes = DEFAULT_TOP_GENES if hvg.n_top_genes is None else hvg.n_top_genes
    ranks = np.argsort(np.argsort(-normalised, axis=1), axis=1).astype(np.float32)
    n_batches_high = (ranks < n_top_genes).sum(axis=0)
    ranks[ranks >= n_top_genes] = np.nan
    table = pd.DataFrame({"means": mean, "variances": variance}, index=var_names)
    table = table.assign(
        gene_name=table.index,
        highly_variable_nbatches=n_batches_high,
        highly_variable_rank=np.ma.median(np.ma.masked_invalid(ranks), axis=0).filled(np.nan),
        variances_norm=np.mean(normalised, axis=0),
    )
    keys = {"highly_variable_rank": True, "highly_variable_nbatches": False}
    if hvg.flavor == "seurat_v3_paper":
        keys = dict(reversed(keys.items()))
    order = (
        table.reset_index(drop=True).sort_values(list(keys), ascending=list(keys.values()), na_position="last").index
    )
    table["highly_variable"] = np.isin(np.arange(len(table)), order[:n_top_genes])
    return table if hvg.batch_key else table.drop(columns="highly_variable_nbatches")
