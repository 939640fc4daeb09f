"""The statistical model behind synthetic counts: genes, datasets, cell types and the tables that counts are drawn from.

A cell's counts are drawn one by one, each from one of three sources, until a wanted number of genes is seen:

- its dataset's profile: a core of genes that most cells use and a long tail, measured or not, louder or softer, dataset by
  dataset;
- a small head of genes that every cell shouts (mitochondrial, ribosomal); the smaller the cell, the larger its share;
- the markers of its cell type, which make genes highly variable.

The figures were fitted until the drawn counts showed those of Census (human, 2024-07-01): shares of values, concentration of
non-zeros in genes, non-zeros a cell and how they grow with a cell's total.
"""

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from somaray.datasets.sizes import check_size

CORE_GENES = 5_000
CORE_LOG_SD = 0.86
TAIL_SHARE = 0.14
TAIL_LOG_SD = 2.1
HEAD_GENES = 84
HEAD_LOG_SD = 0.8
HEAD_SHARE = 0.14
HEAD_EXPONENT = 0.62
DATASET_LOG_SD = 0.38
MARKER_GENES = 100
MARKER_SHARE = 0.15
BURST_SHARE = 0.04
"""Share of draws that count twice."""

CELL_LOG_SD = 0.6
DATASET_NNZ_LOG_SD = 0.36
"""Standard deviations of log non-zeros within and between datasets: 0.7 together."""

CELL_TYPES = 24
CELLS_PER_DATASET = 40_000
MEASURED_SHARE = (0.55, 1.0)
LARGEST_CELL = 10.0
"""Most non-zeros of a cell, in units of the mean."""
LARGEST_SHARE = 0.4
"""Most non-zeros of a cell, in units of all genes: beyond it drawing the missing ones takes ever longer."""


@dataclass(frozen=True)
class Dataset:
    """A contiguous block of cells that were measured together.

    Parameters
    ----------
    number, start, stop
        Position among the datasets, first cell and one past its last.
    log_nnz
        Mean of log non-zeros of its cells.
    types
        Numbers of the cell types it holds; `type_shares` says how much of each.
    """

    number: int
    start: int
    stop: int
    log_nnz: float
    types: np.ndarray
    type_shares: np.ndarray


@dataclass(frozen=True)
class Tables:
    """Alias tables of one dataset, one after the other: its profile, the head, then each of its cell types.

    Parameters
    ----------
    entries
        uint64 each: 16 bits threshold, 24 bits the alias gene, 24 bits the gene.
    offsets
        Where each table starts, and the end of the last.
    """

    entries: np.ndarray
    offsets: np.ndarray


class CountModel:
    """Everything about the counts but the counts; the same for the same arguments.

    Parameters
    ----------
    n_obs, n_vars
        Cells and genes.
    nnz_per_obs
        Mean number of non-zeros a cell.
    seed
        Seed of all that is random.

    Raises
    ------
    SomarayError
        If `nnz_per_obs` is more than a quarter of the genes, or a number is out of range.
    """

    def __init__(self, n_obs: int, n_vars: int, nnz_per_obs: float, seed: int) -> None:
        check_size(n_obs, n_vars, nnz_per_obs)
        self.n_obs, self.n_vars, self.nnz_per_obs, self.seed = n_obs, n_vars, float(nnz_per_obs), seed
        self.largest_nnz = max(1, int(min(LARGEST_SHARE * n_vars, LARGEST_CELL * nnz_per_obs)))
        self._weigh_genes()
        self._make_types()

    def random(self, *subject: int) -> np.random.Generator:
        """Generator for one subject, independent of all others and of what was drawn before."""
        return np.random.default_rng([self.seed & 0xFFFF_FFFF_FFFF_FFFF, *subject])

    def _weigh_genes(self) -> None:
        rng = self.random(1)
        n_core = min(CORE_GENES, max(self.n_vars // 2, 1))
        weights = np.exp(TAIL_LOG_SD * rng.standard_normal(self.n_vars))
        weights[n_core:] *= TAIL_SHARE / max(weights[n_core:].sum(), 1e-300)
        weights[:n_core] = np.exp(CORE_LOG_SD * rng.standard_normal(n_core))
        weights[:n_core] *= (1 - TAIL_SHARE) / weights[:n_core].sum()
        order = rng.permutation(self.n_vars)
        self.core = np.flatnonzero(order < n_core)
        """Genes that most cells use, ascending."""
        self.weights = weights[order]
        loudest = self.core[np.argsort(-self.weights[self.core], kind="stable")]
        self.head = loudest[:HEAD_GENES]
        self.head_weights = np.exp(HEAD_LOG_SD * rng.standard_normal(self.head.size))

    def _make_types(self) -> None:
        n_markers = min(MARKER_GENES, self.core.size)
        self.markers = []
        for number in range(CELL_TYPES):
            rng = self.random(2, number)
            # Less loud genes too: a marker that is loud everywhere marks nothing.
            weights = np.sqrt(self.weights[self.core])
            genes = rng.choice(self.core, n_markers, replace=False, p=weights / weights.sum())
            self.markers.append((genes, np.exp(rng.standard_normal(n_markers))))

    @cached_property
    def datasets(self) -> tuple[Dataset, ...]:
        """Contiguous, covering all cells."""
        rng = self.random(3)
        count = max(1, min(max(4, round(self.n_obs / CELLS_PER_DATASET)), self.n_obs // 50))
        sizes = np.exp(0.5 * rng.standard_normal(count))
        stops = np.round(np.cumsum(sizes) / sizes.sum() * self.n_obs).astype(int)
        starts = np.concatenate([[0], stops[:-1]])
        factors = np.exp(DATASET_NNZ_LOG_SD * rng.standard_normal(count))
        factors *= self.n_obs / np.sum(factors * (stops - starts))
        datasets = []
        for number in range(count):
            types = np.sort(rng.choice(CELL_TYPES, rng.integers(5, 12), replace=False))
            datasets.append(
                Dataset(
                    number,
                    int(starts[number]),
                    int(stops[number]),
                    float(np.log(self.nnz_per_obs * factors[number]) - CELL_LOG_SD**2 / 2),
                    types,
                    rng.dirichlet(np.ones(types.size)),
                )
            )
        return tuple(datasets)

    def measured(self, dataset: Dataset) -> np.ndarray:
        """Which genes the dataset measured; what every cell may shout is always measured."""
        rng = self.random(4, dataset.number)
        measured = rng.random(self.n_vars) < rng.uniform(*MEASURED_SHARE)
        measured[self.core] = True
        return measured

    def tables(self, dataset: Dataset) -> Tables:
        """Make the tables its cells draw from."""
        rng = self.random(5, dataset.number)
        genes = np.flatnonzero(self.measured(dataset))
        weights = self.weights * np.exp(DATASET_LOG_SD * rng.standard_normal(self.n_vars))
        parts = [_alias_table(genes, weights[genes]), _alias_table(self.head, self.head_weights)]
        parts += [_alias_table(*self.markers[number]) for number in dataset.types]
        return Tables(np.concatenate(parts), np.cumsum([0, *(part.size for part in parts)]))


def _alias_table(genes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    shares = weights / weights.sum() * weights.size
    thresholds, aliases = np.empty(weights.size, np.uint64), np.empty(weights.size, np.int64)
    _fill_alias_table(shares, thresholds, aliases)
    return (thresholds << np.uint64(48)) | (genes[aliases].astype(np.uint64) << np.uint64(24)) | genes.astype(np.uint64)


@numba.njit(cache=True)
def _fill_alias_table(shares, thresholds, aliases):
    """Walker's alias method (Vose 1991) with thresholds of 16 bits, never 0 so that every gene can be drawn."""
    n = shares.size
    small, large = np.empty(n, np.int64), np.empty(n, np.int64)
    n_small = n_large = 0
    for slot in range(n):
        aliases[slot] = slot
        thresholds[slot] = 65_535
        if shares[slot] < 1.0:
            small[n_small] = slot
            n_small += 1
        else:
            large[n_large] = slot
            n_large += 1
    while n_small and n_large:
        n_small -= 1
        poor, rich = small[n_small], large[n_large - 1]
        thresholds[poor] = max(1, int(shares[poor] * 65_535))
        aliases[poor] = rich
        shares[rich] -= 1.0 - shares[poor]
        if shares[rich] < 1.0:
            n_large -= 1
            small[n_small] = rich
            n_small += 1
