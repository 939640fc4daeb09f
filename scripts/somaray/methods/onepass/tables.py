"""From sums by gene to Scanpy's table: its own code wherever it has an entry that takes gene-sized tables.

The functions taken from inside Scanpy (and the few lines between them, which have no entry of their own) are those of Scanpy
1.12; the tests hold every flavour against `scanpy.pp.highly_variable_genes` itself.
"""

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scanpy.preprocessing import log1p, normalize_total
from scanpy.preprocessing._highly_variable_genes import _Cutoffs, _get_disp_stats, _get_mean_bins, _subset_genes
from scipy import sparse

from somaray.errors import SomarayError
from somaray.settings import HvgSettings

VARIANCE_NOISE = 1e-12
"""A variance below this share of the mean square is the rounding of its two terms, no spread of counts, and taken for zero."""


def mean_and_variance(
    sums: NDArray[np.float64], n_cells: int, scale: float = 1.0, drop_noise: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and unbiased variance of `scale` times a quantity, from its sums.

    Parameters
    ----------
    sums
        Genes × 2: sum and sum of squares over the cells, zeros included by being absent.
    n_cells
        Cells; with one there is no correction, as in `fast_array_utils.stats.mean_var`.
    drop_noise
        Set variances within rounding of zero to zero.
    """
    mean = scale * sums[:, 0] / n_cells
    mean_square = scale**2 * sums[:, 1] / n_cells
    variance = mean_square - mean**2
    if drop_noise:
        variance[variance <= VARIANCE_NOISE * mean_square] = 0
    if n_cells != 1:
        variance *= n_cells / (n_cells - 1)
    return mean, variance


def mean_and_variance_of_batch(
    sums: NDArray[np.float64], n_cells: int, whole: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and unbiased variance of counts in a batch, as `scanpy.get.aggregate` gives them.

    It adds up deviations cell by cell, which rounds in an order that sums do not know, but not where all counts of a gene are
    ones. There its last bits are met, for such genes are many, have equal variances, and are ranked by these bits.

    Returns
    -------
    The variance is not a number for a batch of one cell.
    """
    mean, variance = mean_and_variance(sums, n_cells, drop_noise=not whole)
    if n_cells == 1:
        return mean, np.full(len(mean), np.nan)
    if whole:
        ones = sums[:, 0] == sums[:, 1]
        n_ones = sums[ones, 0]
        variance[ones] = n_ones * (n_cells - n_ones) / n_cells / n_cells * (n_cells / (n_cells - 1))
    return mean, variance


def one_cell_mean_and_variance(
    counts: NDArray[np.floating], target_sum: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of a batch of one cell, by Scanpy's own steps.

    Its variance is zero in exact arithmetic and the rounding of `float32` squares in Scanpy, which enters the dispersions;
    only the same steps give the same rounding.
    """
    adata = AnnData(sparse.csr_matrix(counts[None, :]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        normalize_total(adata, target_sum=target_sum)
    log1p(adata)
    values = adata.X.expm1().toarray()[0]
    mean = values.astype(np.float64)
    return mean, (values * values).astype(np.float64) - mean**2


def cutoff(hvg: HvgSettings) -> Any:
    """Scanpy's choice between a number of genes and bounds."""
    return _Cutoffs.validate(
        n_top_genes=hvg.n_top_genes,
        min_disp=hvg.min_disp,
        max_disp=np.inf if hvg.max_disp is None else hvg.max_disp,
        min_mean=hvg.min_mean,
        max_mean=hvg.max_mean,
    )


def dispersion_table(
    moments: tuple[NDArray[np.float64], NDArray[np.float64]], var_names: pd.Index, hvg: HvgSettings
) -> pd.DataFrame:
    """Scanpy's table for the flavours `seurat` and `cell_ranger`, of all cells or of one batch.

    Parameters
    ----------
    moments
        Means and variances of normalised counts (`seurat`) or of their logarithms (`cell_ranger`), by gene.

    Raises
    ------
    SomarayError
        Where Scanpy fails: genes too few or too alike to be put in bins.
    """
    mean, variance = moments
    mean = np.where(mean == 0, 1e-12, mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        dispersion = variance / mean
        if hvg.flavor == "seurat":
            dispersion = np.log(np.where(dispersion == 0, np.nan, dispersion))
            mean = np.log1p(mean)
    table = pd.DataFrame({"means": mean, "dispersions": dispersion})
    try:
        table["mean_bin"] = _get_mean_bins(table["means"], hvg.flavor, hvg.n_bins)
        bins = _get_disp_stats(table, hvg.flavor)
        table["dispersions_norm"] = (table["dispersions"] - bins["avg"]) / bins["dev"]
        table["highly_variable"] = _subset_genes(
            SimpleNamespace(n_vars=len(table)),
            mean=mean,
            dispersion_norm=table["dispersions_norm"].to_numpy(),
            cutoff=cutoff(hvg),
        )
    except (ValueError, IndexError) as error:
        reason = str(error).partition(":")[0]
        raise SomarayError(
            f"flavor {hvg.flavor}: Scanpy cannot put {len(table)} genes in bins by their means ({reason}); "
            "leave genes without counts out by a var_filter, set batch_key (which does so), or choose another flavour"
        ) from error
    table.index = var_names
    return table


def batched_dispersion_table(tables: list[pd.DataFrame], var_names: pd.Index, hvg: HvgSettings) -> pd.DataFrame:
    """Combine the tables of all batches, each of its expressed genes only, as Scanpy does with a `batch_key`.

    A gene that a batch does not express counts there with zeros in all columns. The rows come in the order of `var_names`;
    Scanpy itself leaves them sorted by name where bounds, not a number of genes, decide.
    """
    if not var_names.is_unique:
        raise SomarayError(f"batch_key: gene names must be distinct; {var_names[var_names.duplicated()][0]!r} is not")
    columns = ["means", "dispersions", "dispersions_norm", "highly_variable"]
    complete = []
    for table in tables:
        missing = var_names.difference(table.index, sort=False)
        zeros = pd.DataFrame(np.zeros((len(missing), len(columns))), columns=columns, index=missing)
        complete.append(
            pd.concat([table[columns].astype({"highly_variable": int}), zeros.astype({"highly_variable": int})])
        )
    joined = pd.concat(complete)
    frame = joined.groupby(joined.index, observed=True).agg(
        {"means": "mean", "dispersions": "mean", "dispersions_norm": "mean", "highly_variable": "sum"}
    )
    frame["highly_variable_nbatches"] = frame["highly_variable"]
    frame["highly_variable_intersection"] = frame["highly_variable_nbatches"] == len(tables)
    bounds = cutoff(hvg)
    if isinstance(bounds, int):
        frame = frame.sort_values(["highly_variable_nbatches", "dispersions_norm"], ascending=False, na_position="last")
        frame["highly_variable"] = np.arange(len(frame)) < bounds
    else:
        frame["dispersions_norm"] = frame["dispersions_norm"].fillna(0)
        frame["highly_variable"] = bounds.in_bounds(frame["means"], frame["dispersions_norm"])
    return frame.loc[var_names]
