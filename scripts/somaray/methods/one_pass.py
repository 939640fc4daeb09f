"""`one-pass`: highly variable genes from sums by gene, with X read once (twice for `seurat_v3`), straight from Arrow batches.

For `seurat`, Scanpy takes means and variances of `expm1(log1p(x · S / r))` = x · S / r, with r a cell's total and S the target,
by default the median of all r. Both are S and S² times sums that do not depend on S, so that one read gives r, S, Σ x/r and
Σ (x/r)² together. `cell_ranger` takes moments of log1p(x · S / r) and must know S before: from the settings, from the totals
that obs claims, or from a read of the counts alone. `seurat_v3` takes moments of x, then of x cut at a ceiling that follows
from them.

Sums are in double precision and added up in a fixed order, so that for one chunk size the same bytes come out whatever the
workers, threads and order of arrival. With a batch key there is a row of sums a batch: in a task for the batches that occur
in it, in the driver for all.
"""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from somaray.errors import SomarayError
from somaray.matrix import Run
from somaray.methods.onepass import tables, variances
from somaray.methods.onepass.passes import Pass, read_x, target_of
from somaray.methods.onepass.selection import Selection, select
from somaray.methods.onepass.tasks import Quantity
from somaray.records import RAW_SUM
from somaray.settings import HvgSettings

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from somaray.datasets.store import Source

type Moments = Callable[[int, NDArray[np.bool]], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""From a batch and the genes wanted to their means and variances."""


def compute_hvg(source: "Source", run: Run, hvg: HvgSettings, client: "Client | None", phase: Any) -> "pd.DataFrame":
    """Pick genes.

    Parameters
    ----------
    run
        `chunk_size` is the cells a task, by default a 64th of them; `parallelism` counts the threads where there is no client.
    client
        Where tasks run; None for threads of this process.

    Returns
    -------
    The columns of `scanpy.pp.highly_variable_genes(…, inplace=False)`, indexed by gene in the query's order.

    Raises
    ------
    SomarayError
        If X holds negative or non-finite values, nothing is left by the filters, or Scanpy would fail on the same data.
    """
    if hvg.target_sum is not None and not hvg.target_sum > 0:
        raise SomarayError(f"target_sum: {hvg.target_sum} is not above 0")
    with phase("open"):
        selection = select(source, hvg)

    def read(quantity: Quantity, **options: Any) -> Pass:
        return read_x(selection, quantity, run, client, **options)

    if hvg.flavor.startswith("seurat_v3"):
        with phase("hvg"):
            return _seurat_v3(selection, hvg, read)
    if hvg.flavor == "seurat":
        with phase("hvg"):
            return _seurat(selection, hvg, read)
    return _cell_ranger(selection, hvg, read, phase)


def _seurat(selection: Selection, hvg: HvgSettings, read: Any) -> "pd.DataFrame":
    shares = read("shares")
    target = target_of(shares.totals) if hvg.target_sum is None else hvg.target_sum

    def moments(batch: int, genes: NDArray[np.bool]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        sums, n_cells = shares.sums(batch)[genes], int(shares.batch_sizes[batch])
        if n_cells == 1:
            counts = (sums[:, 0] * shares.totals_of(batch)[0]).astype(shares.totals.dtype)
            return tables.one_cell_mean_and_variance(counts, target)
        return tables.mean_and_variance(sums, n_cells, target, drop_noise=True)

    return _dispersions(selection, hvg, shares, moments)


def _cell_ranger(selection: Selection, hvg: HvgSettings, read: Any, phase: Any) -> "pd.DataFrame":
    target = hvg.target_sum
    if target is None and selection.claimed_totals is not None:
        target = target_of(selection.claimed_totals)
    if target is None:
        with phase("normalize"):
            target = target_of(read("totals").totals)
    with phase("hvg"):
        logs = read("logs", target_sum=target)
        if hvg.target_sum is None and (found := target_of(logs.totals)) != target:
            warnings.warn(
                f"obs column {RAW_SUM} gives a median of {target:g} counts a cell, the counts read give {found:g}: "
                "X is read once more",
                stacklevel=2,
            )
            logs = read("logs", target_sum=found)
        # Logarithms in float32 add up exactly in double precision, Scanpy's rounding included; those in float64 do not.
        inexact = selection.normalised_dtype == np.float64

        def moments(batch: int, genes: NDArray[np.bool]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            return tables.mean_and_variance(logs.sums(batch)[genes], int(logs.batch_sizes[batch]), drop_noise=inexact)

        return _dispersions(selection, hvg, logs, moments)


def _dispersions(selection: Selection, hvg: HvgSettings, found: Pass, moments: Moments) -> "pd.DataFrame":
    if not hvg.batch_key:
        every_gene = np.ones(len(selection.var_names), dtype=bool)
        return tables.dispersion_table(moments(0, every_gene), selection.var_names, hvg)
    by_batch = []
    for batch, name in enumerate(selection.batch_names):
        expressed = found.sums(batch)[:, 0] > 0
        if not expressed.any():
            raise SomarayError(f"batch_key: no gene is expressed in batch {name!r} of obs column {hvg.batch_key!r}")
        by_batch.append(tables.dispersion_table(moments(batch, expressed), selection.var_names[expressed], hvg))
    return tables.batched_dispersion_table(by_batch, selection.var_names, hvg)


def _seurat_v3(selection: Selection, hvg: HvgSettings, read: Any) -> "pd.DataFrame":
    batched = bool(hvg.batch_key)
    # Without batches Scanpy squares in the type of the counts, with them it adds up deviations in double precision.
    counts = read("counts", exact_squares=batched)
    if not counts.whole:
        warnings.warn(f"flavor {hvg.flavor} expects raw counts, but X holds values that are not whole", stacklevel=2)
    mean, variance = tables.mean_and_variance(counts.all_sums(), len(selection.joinids))
    sizes = [int(size) for size in counts.batch_sizes]
    means, deviations = [], []
    for batch, n_cells in enumerate(sizes):
        batch_mean, batch_variance = mean, variance
        if batched:
            batch_mean, batch_variance = tables.mean_and_variance_of_batch(counts.sums(batch), n_cells, counts.whole)
        means.append(batch_mean)
        deviations.append(variances.expected_deviation(batch_mean, batch_variance, hvg))
    by_batch = list(zip(means, deviations, sizes, strict=True))
    clipped = read("clipped", ceilings=np.stack([variances.ceiling(*each) for each in by_batch]))
    normalised = [
        variances.normalised_variance(batch_mean, deviation, clipped.sums(batch), n_cells)
        for batch, (batch_mean, deviation, n_cells) in enumerate(by_batch)
    ]
    return variances.variance_table(mean, variance, np.stack(normalised), selection.var_names, hvg)
