"""Overlaps of address intervals and partly unmapped ranges, against one byte at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from somaray.allocations.intervals import MappedRanges, intersection, overlap_bytes, union

SPACE = 40
intervals = st.lists(st.tuples(st.integers(0, SPACE), st.integers(0, SPACE)).map(sorted), max_size=8)


def arrays(pairs: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array([pair for pair in pairs if pair[0] < pair[1]], np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def covered(pairs: list[list[int]]) -> set[int]:
    return {byte for low, high in pairs for byte in range(low, high)}


@given(intervals)
def test_union_covers_the_same_bytes_once(pairs: list[list[int]]) -> None:
    starts, ends = union(*arrays(pairs))
    assert covered(list(zip(starts, ends, strict=True))) == covered(pairs)
    assert (starts[1:] > ends[:-1]).all()
    assert (ends > starts).all()


@given(intervals, intervals)
def test_overlap_counts_the_bytes_of_each_interval_in_the_runs(pairs: list[list[int]], runs: list[list[int]]) -> None:
    starts, ends = arrays(pairs)
    found = overlap_bytes(starts, ends, *union(*arrays(runs)))
    inside = covered(runs)
    assert found.tolist() == [
        len(inside & set(range(low, high))) for low, high in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


@given(intervals, intervals)
def test_intersection_holds_what_is_in_both(a: list[list[int]], b: list[list[int]]) -> None:
    starts, ends = intersection(*union(*arrays(a)), *union(*arrays(b)))
    assert covered(list(zip(starts, ends, strict=True))) == covered(a) & covered(b)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, SPACE), st.integers(1, 12)), max_size=20))
def test_mapped_ranges_know_the_owner_of_every_byte(steps: list[tuple[bool, int, int]]) -> None:
    mapped, owners = MappedRanges(), {}
    for owner, (is_map, start, size) in enumerate(steps):
        if is_map:
            mapped.add(start, size, owner)
            owners |= dict.fromkeys(range(start, start + size), owner)
        else:
            mapped.remove(start, size)
            owners = {byte: own for byte, own in owners.items() if not start <= byte < start + size}
    assert len(mapped) == len(mapped.rows())
    assert {start + i: owner for start, size, owner in mapped.rows() for i in range(size)} == owners
    assert sum(size for _, size, _ in mapped.rows()) == len(owners)
