"""Synthetic, Census-like datasets of any size, drawn and written strip by strip."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from somaray.datasets.census_labels import CellStats, obs_table, var_table
from somaray.datasets.census_schema import OBS_SCHEMA, VAR_SCHEMA
from somaray.datasets.count_model import CountModel, Dataset, Tables
from somaray.datasets.draw import draw_counts, draw_sizes
from somaray.datasets.experiment import append_frame, create_experiment, create_frame, finish_frame
from somaray.datasets.writer import Rows, write_matrix


class Drawer:
    """Draws consecutive cells on request, in any grouping with the same result; for one thread.

    What it learns about the cells is kept until `take_stats`.
    """

    def __init__(self, model: CountModel) -> None:
        self._model = model
        self._seed = np.uint64(model.seed & 0xFFFF_FFFF_FFFF_FFFF)
        self._counts = np.zeros(model.n_vars, np.int32)
        self._seen = np.zeros(-(-model.n_vars // 64), np.uint64)
        self._dataset: Dataset | None = None
        self._tables: Tables
        self._n_measured = 0
        self.gene_nnz = np.zeros(model.n_vars, np.int64)
        self._stats: list[CellStats] = []

    def __call__(self, start: int, stop: int) -> Rows:
        """Draw the counts of cells `start` to `stop` (exclusive)."""
        parts = [
            (dataset, max(dataset.start, start), min(dataset.stop, stop))
            for dataset in self._model.datasets
            if dataset.start < stop and dataset.stop > start
        ]
        n = stop - start
        nnz, kinds = np.empty(n, np.int64), np.empty(n, np.int32)
        for dataset, first, end in parts:
            draw_sizes(
                self._seed,
                first,
                dataset.log_nnz,
                self._model.largest_nnz,
                np.cumsum(dataset.type_shares),
                nnz[first - start : end - start],
                kinds[first - start : end - start],
            )
        indptr = np.concatenate([[0], np.cumsum(nnz)])
        indices, data = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
        sums, squares = np.empty(n), np.empty(n)
        measured = np.empty(n, np.int64)
        for dataset, first, end in parts:
            here = slice(first - start, end - start)
            self._enter(dataset)
            draw_counts(
                self._seed,
                first,
                self._model.nnz_per_obs,
                nnz[here],
                kinds[here],
                self._tables.entries,
                self._tables.offsets,
                self._counts,
                self._seen,
                indptr[here],
                indices,
                data,
                sums[here],
                squares[here],
                self.gene_nnz,
            )
            kinds[here] = dataset.types[kinds[here]]
            measured[here] = self._n_measured
        self._stats.append(CellStats(nnz, sums, squares, kinds, measured))
        return Rows(start, indptr, indices, data)

    def _enter(self, dataset: Dataset) -> None:
        if dataset is not self._dataset:
            self._tables = self._model.tables(dataset)
            self._n_measured = int(self._tables.offsets[1])
            self._dataset = dataset

    def take_stats(self) -> CellStats:
        """Hand over what was learnt about all cells drawn since the last call."""
        stats, self._stats = self._stats, []
        return CellStats(
            *(np.concatenate([getattr(part, name) for part in stats]) for name in CellStats.__annotations__)
        )


def strips(model: CountModel, rows: int) -> Iterator[Rows]:
    """Draw the whole matrix, so many rows at a time."""
    drawer = Drawer(model)
    for start in range(0, model.n_obs, rows):
        yield drawer(start, min(start + rows, model.n_obs))


def write_synthetic(
    uri: Path,
    model: CountModel,
    layout: str,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of_all: None,
) -> int:
    """Draw a dataset and write it to a new SOMA experiment.

    Parameters
    ----------
    uri
        Where; must not exist.
    model
        What to draw.
    layout
        `census` or `scan`, see `census_schema.x_create_options`.
    workers
        Threads that draw and write; by default one a core.
    progress
        Called with cells done and cells in all.

    Returns
    -------
    Number of non-zeros.
    """
    create_experiment(uri)
    obs_uri = create_frame(uri, "obs", OBS_SCHEMA, model.n_obs)
    var_uri = create_frame(uri, "var", VAR_SCHEMA, model.n_vars)
    gene_nnz = np.zeros(model.n_vars, np.int64)
    shape = (model.n_obs, model.n_vars)
    for start, stop, drawer in write_matrix(str(uri), shape, layout, lambda: Drawer(model), workers):
        append_frame(obs_uri, obs_table(model, start, drawer.take_stats()))
        gene_nnz += drawer.gene_nnz
        progress(stop, model.n_obs)
    finish_frame(obs_uri)
    n_measured_obs = np.zeros(model.n_vars, np.int64)
    for dataset in model.datasets:
        n_measured_obs += (dataset.stop - dataset.start) * model.measured(dataset)
    append_frame(var_uri, var_table(model, gene_nnz, n_measured_obs))
    return int(gene_nnz.sum())
