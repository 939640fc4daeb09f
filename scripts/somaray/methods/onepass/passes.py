"""One read of X over all cells: tasks out, sums added up in their order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from somaray.errors import SomarayError
from somaray.matrix import Run
from somaray.methods.onepass.compressed import JoinIds, Labels
from somaray.methods.onepass.ordered import map_in_order
from somaray.methods.onepass.selection import Selection
from somaray.methods.onepass.tasks import Quantity, Task, add_up

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Pass:
    """What a read of X found.

    Parameters
    ----------
    totals
        Counts of each of the selection's cells, ascending by joinid; empty where the quantity does not need them.
    moments
        Batches × columns × sums, as in `Sums`.
    batch_sizes
        Cells of each batch.
    whole
        Whether all values are whole numbers, where that was looked at.
    """

    selection: Selection
    totals: NDArray[np.floating]
    moments: NDArray[np.float64]
    batch_sizes: NDArray[np.int64]
    whole: bool

    def sums(self, batch: int) -> NDArray[np.float64]:
        """Genes × sums of one batch, genes in the query's order."""
        return self.moments[batch, self.selection.columns]

    def all_sums(self) -> NDArray[np.float64]:
        """Genes × sums over all batches."""
        return self.moments.sum(axis=0)[self.selection.columns]

    def totals_of(self, batch: int) -> NDArray[np.floating]:
        """Totals of one batch's cells."""
        return self.totals[self.selection.batch_codes == batch]


def read_x(
    selection: Selection,
    quantity: Quantity,
    run: Run,
    client: "Client | None",
    *,
    target_sum: float | None = None,
    exact_squares: bool = False,
    ceilings: NDArray[np.float64] | None = None,
) -> Pass:
    """Read all cells once and add up.

    The driver holds, beside the sums, what `map_in_order` lets be under way.

    Parameters
    ----------
    target_sum, exact_squares
        See `Task`.
    ceilings
        Batches × genes, genes in the query's order, for `clipped`.

    Raises
    ------
    SomarayError
        If X holds a negative or non-finite value.
    """
    layer, n_batches = selection.layer, len(selection.batch_names)
    chunk_rows = selection.chunk_rows(run.chunk_size)
    claims = selection.claimed_totals if quantity in ("shares", "logs") else None

    def tasks() -> Iterator[Task]:
        for begin in range(0, len(selection.joinids), chunk_rows):
            part = slice(begin, begin + chunk_rows)
            cells, labels = JoinIds.from_array(selection.joinids[part]), Labels.from_array(selection.batch_codes[part])
            own_claims = None if claims is None else claims[part]
            yield Task(layer, cells, labels, quantity, target_sum, exact_squares, own_claims)

    shared: tuple[Any, ...] = ()
    if ceilings is not None:
        by_column = np.empty_like(ceilings)
        by_column[:, selection.columns] = ceilings
        shared = (by_column,)
    n_sums = 3 if quantity == "clipped" else 2
    moments = np.zeros((0 if quantity == "totals" else n_batches, layer.n_columns, n_sums))
    totals: list[NDArray[np.floating]] = []
    whole = True
    for sums in map_in_order(add_up, tasks(), client, _threads(run, client), shared):
        if not sums.fine:
            raise SomarayError(f"{layer.uri} holds negative, infinite or undefined values: expected counts")
        whole &= sums.whole
        if not sums.as_claimed:
            # Who was wrong once is not asked again: tasks not yet sent are spared the second read.
            claims = None
        if sums.totals is not None:
            totals.append(sums.totals)
        if sums.moments is not None:
            moments[sums.batches] += sums.moments
    return Pass(
        selection=selection,
        totals=np.concatenate(totals) if totals else np.empty(0, dtype=np.float32),
        moments=moments,
        batch_sizes=np.bincount(selection.batch_codes[selection.batch_codes >= 0], minlength=n_batches),
        whole=whole,
    )


def target_of(totals: NDArray[np.floating]) -> float:
    """Scanpy's target sum: the median of the cells' totals, empty cells left out, in the totals' own type.

    Where no cell has counts there is nothing to scale, and 1 does.
    """
    counted = totals[totals > 0]
    return float(np.median(counted)) if len(counted) else 1.0


def _threads(run: Run, client: "Client | None") -> int:
    if client is not None:
        return max(sum(client.nthreads().values()), 1)
    return run.parallelism.dask_threads if run.parallelism else 1
