"""Heap lines keep their peaks, whatever is thinned out."""

from hypothesis import given
from hypothesis import strategies as st

from somaray.allocations.heap_lines import thin


@given(st.lists(st.integers(0, 10**12), max_size=300), st.integers(1, 40))
def test_thinning_keeps_order_and_the_largest(heap_bytes, most_points) -> None:
    kept = thin(heap_bytes, most_points)
    assert kept == sorted(set(kept))
    assert len(kept) == min(len(heap_bytes), most_points)
    if heap_bytes:
        assert max(heap_bytes[index] for index in kept) == max(heap_bytes)
