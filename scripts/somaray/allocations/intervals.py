"""Address intervals as sorted arrays: how much of each lies in others, and mappings of which parts are given back."""

from bisect import bisect_left, bisect_right, insort

import numpy as np
import numpy.typing as npt

Addresses = npt.NDArray[np.int64]


def overlap_bytes(starts: Addresses, ends: Addresses, run_starts: Addresses, run_ends: Addresses) -> Addresses:
    """How many bytes of each interval lie in any run; the runs are sorted and disjoint, the intervals need not be."""
    before = np.concatenate([[0], np.cumsum(run_ends - run_starts)])

    def below(addresses: Addresses) -> Addresses:
        """Bytes of all runs below each address."""
        index = np.searchsorted(run_starts, addresses, side="right")
        inside = np.minimum(addresses, np.concatenate([[0], run_ends])[index])
        begun = np.concatenate([[0], run_starts])[index]
        return before[np.maximum(index - 1, 0)] + np.where(index > 0, inside - begun, 0)

    return below(ends) - below(starts)


def union(starts: Addresses, ends: Addresses) -> tuple[Addresses, Addresses]:
    """The intervals as sorted and disjoint ones."""
    if not len(starts):
        return starts, ends
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    apart = starts[1:] > reach[:-1]
    return starts[np.concatenate([[True], apart])], reach[np.concatenate([apart, [True]])]


def intersection(
    a_starts: Addresses, a_ends: Addresses, b_starts: Addresses, b_ends: Addresses
) -> tuple[Addresses, Addresses]:
    """What lies in both; each side sorted and disjoint."""
    cuts = np.unique(np.concatenate([a_starts, a_ends, b_starts, b_ends]))
    starts, ends = cuts[:-1], cuts[1:]
    both = (overlap_bytes(starts, ends, a_starts, a_ends) > 0) & (overlap_bytes(starts, ends, b_starts, b_ends) > 0)
    return starts[both], ends[both]


class MappedRanges:
    """Ranges that were mapped, each with an owner; unmapping may take a part of one, or parts of several."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ranges: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, start: int, size: int, owner: int) -> None:
        """Map a range; what was mapped there before is gone."""
        self.remove(start, size)
        insort(self._starts, start)
        self._ranges[start] = (start + size, owner)

    def remove(self, start: int, size: int) -> None:
        """Unmap a range, mapped before or not."""
        end = start + size
        first = max(bisect_right(self._starts, start) - 1, 0)
        for low in self._starts[first : bisect_left(self._starts, end)]:
            high, owner = self._ranges[low]
            if high <= start:
                continue
            del self._ranges[low]
            self._starts.remove(low)
            for left, right in ((low, min(high, start)), (max(low, end), high)):
                if left < right:
                    insort(self._starts, left)
                    self._ranges[left] = (right, owner)

    def rows(self) -> list[tuple[int, int, int]]:
        """Start, size and owner of what is mapped, by address."""
        return [(start, self._ranges[start][0] - start, self._ranges[start][1]) for start in self._starts]
