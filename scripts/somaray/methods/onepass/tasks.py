"""One task: the sums over the cells it names, from one read of their rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from somaray.methods.onepass import kernels
from somaray.methods.onepass.compressed import JoinIds, Labels, split_into_strips
from somaray.methods.onepass.kept import own_kept
from somaray.methods.onepass.reading import Layer, open_layer, read_strip

Quantity = Literal["totals", "shares", "logs", "counts", "clipped"]


@dataclass(frozen=True)
class Task:
    """What to add up over which cells.

    Parameters
    ----------
    cells, labels
        Joinids of the cells, and their batches.
    quantity
        `totals` (counts a cell alone), `shares` (x/r), `logs` (log1p(x · S / r)), `counts` (x) or `clipped` (x where it
        is below a ceiling), with r a cell's total.
    target_sum
        S, for `logs`.
    exact_squares
        For `counts`: square in double precision, whatever the type of the values.
    claims
        Totals of the cells as obs has them, for `shares` and `logs` of all genes; None where it has none. They are held
        against what is read, and where one is wrong nothing is made of them.
    """

    layer: Layer
    cells: JoinIds
    labels: Labels
    quantity: Quantity
    target_sum: float | None = None
    exact_squares: bool = False
    claims: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Sums:
    """What a task found.

    Parameters
    ----------
    totals
        Counts a cell, in the type Scanpy keeps them in; None for `counts` and `clipped`.
    batches
        Codes of the batches in the rows of `moments`.
    moments
        Batches × columns × 2: sums of the quantity and of its square; for `clipped` × 3: of the values that are no higher
        than the ceiling, and how many are higher. None for `totals`.
    fine
        Whether all values are finite and not negative.
    whole
        Whether all values are whole; only looked at for `counts`.
    as_claimed
        Whether the totals are those that were claimed, if any were.
    """

    totals: NDArray[np.floating] | None
    batches: NDArray[np.int32]
    moments: NDArray[np.float64] | None
    fine: bool = True
    whole: bool = True
    as_claimed: bool = True


@dataclass(frozen=True)
class _Strip:
    """A strip under way: `cells` are those of the task, batches come as the arguments all kernels begin with."""

    cells: slice
    batch_of: NDArray[np.int32]
    batches: Iterator[tuple[Any, ...]]

    @property
    def n_cells(self) -> int:
        return self.cells.stop - self.cells.start


def add_up(task: Task, ceilings: NDArray[np.float64] | None = None) -> Sums:
    """Do a task.

    `ceilings` (batches × columns, for all batches of the dataset) come beside the task, so that the tasks of a process share
    one copy.
    """
    match task.quantity:
        case "totals":
            return _add_totals(task)
        case "shares" | "logs":
            return _add_normalised(task)
        case "counts":
            return _add_counts(task)
        case "clipped":
            assert ceilings is not None
            return _add_clipped(task, ceilings[task.labels.batches])


def normalised_dtype(stored: Any) -> type[np.floating]:
    """Type in which Scanpy normalises: integers become `float32`, floats stay."""
    return np.float64 if np.dtype(stored) == np.float64 else np.float32


def count_dtype(stored: Any) -> type[np.floating]:
    """Type in which counts are squared and added: whole numbers in double precision, where they are exact."""
    return np.float32 if np.dtype(stored) in (np.float32, np.float16) else np.float64


def _strips(task: Task, dtype: type[np.floating], with_genes: bool = True) -> Iterator[_Strip]:
    array, column_of = open_layer(task.layer)
    ids, labels = task.cells.to_array(), task.labels.to_array()
    for strip in split_into_strips(ids, task.layer.band_rows):
        cell_of = np.full(strip.last - strip.first + 1, -1, dtype=np.int32)
        cell_of[ids[strip.begin : strip.end] - strip.first] = np.arange(strip.end - strip.begin, dtype=np.int32)
        batches = (
            (rows, genes, values.astype(dtype, copy=False), strip.first, cell_of, column_of)
            for rows, genes, values in read_strip(array, task.layer, ids, strip, with_genes)
        )
        cells = slice(strip.begin, strip.end)
        yield _Strip(cells, labels[cells], batches)


def _stored_dtype(task: Task) -> Any:
    return open_layer(task.layer)[0].schema.field("soma_data").type.to_pandas_dtype()


def _zeros(task: Task, n_sums: int = 2) -> NDArray[np.float64]:
    return np.zeros((len(task.labels.batches), task.layer.n_columns, n_sums))


def _add_totals(task: Task) -> Sums:
    dtype = normalised_dtype(_stored_dtype(task))
    found, fine = [], True
    # Genes need no reading where all of them count.
    for strip in _strips(task, dtype, with_genes=task.layer.genes is not None):
        totals = np.zeros(strip.n_cells)
        for coordinates in strip.batches:
            fine &= kernels.add_totals(*coordinates, totals)
        found.append(totals.astype(dtype))
    return Sums(np.concatenate(found), task.labels.batches, None, fine)


def _scales(task: Task, totals: NDArray[np.floating]) -> tuple[NDArray[Any], ...]:
    """What a kernel scales each cell's counts by: weights for `shares`, divisors and a table of logarithms for `logs`."""
    if task.quantity == "shares":
        usable = np.isfinite(totals) & (totals != 0)
        return (np.divide(1.0, totals, out=np.zeros(len(totals)), where=usable, dtype=np.float64),)
    assert task.target_sum is not None
    divisors = totals / task.target_sum
    divisors += divisors == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        return divisors, np.log1p(np.arange(kernels.LOG_TABLE_COUNTS, dtype=totals.dtype) / divisors[:, None])


def _add_normalised(task: Task) -> Sums:
    dtype = normalised_dtype(_stored_dtype(task))
    moments, found, fine = _zeros(task), [], True
    kept = own_kept(task.layer.opening, task.layer.n_columns, dtype)
    add = kernels.add_shares if task.quantity == "shares" else kernels.add_logs
    for strip in _strips(task, dtype):
        claims, totals = None if task.claims is None else task.claims[strip.cells], np.zeros(strip.n_cells)
        scales = None if claims is None else _scales(task, claims)
        kept.clear()
        for coordinates in strip.batches:
            fine &= kept.add(coordinates, totals)
            if scales is not None:
                for block in kept:
                    add(*block, strip.batch_of, *scales, moments)
                kept.clear()
        found.append(totals.astype(dtype))
        if claims is None:
            # A cell's total must be known before its shares, so a strip's coordinates are kept until all have come.
            scales = _scales(task, found[-1])
            for block in kept:
                add(*block, strip.batch_of, *scales, moments)
        elif not np.array_equal(found[-1], claims):
            again = _add_normalised(replace(task, claims=None))
            return replace(again, as_claimed=False)
    return Sums(np.concatenate(found), task.labels.batches, moments, fine)


def _add_counts(task: Task) -> Sums:
    dtype = np.float64 if task.exact_squares else count_dtype(_stored_dtype(task))
    moments, fine, whole = _zeros(task), True, True
    for strip in _strips(task, dtype):
        for coordinates in strip.batches:
            good, integral = kernels.add_counts(*coordinates, strip.batch_of, moments)
            fine &= good
            whole &= integral
    return Sums(None, task.labels.batches, moments, fine, whole)


def _add_clipped(task: Task, ceilings: NDArray[np.float64]) -> Sums:
    dtype = count_dtype(_stored_dtype(task))
    moments = _zeros(task, n_sums=3)
    for strip in _strips(task, dtype):
        for coordinates in strip.batches:
            kernels.add_clipped(*coordinates, strip.batch_of, ceilings, moments)
    return Sums(None, task.labels.batches, moments)
