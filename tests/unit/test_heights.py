"""When a process's pages are looked at: on the way up by steps, and once it has settled."""

from somaray.allocations.residency import choose
from somaray.measure.heights import SETTLED_SECONDS, STEP_BYTES, Height, Heights

MIB = 2**20


def looks(sizes: list[tuple[float, int]]) -> list[float]:
    height, found = Height(), []
    for now, size in sizes:
        if height.is_new(now, size):
            height.taken(size)
            found.append(now)
    return found


def test_growth_is_looked_at_step_by_step_and_at_its_end() -> None:
    filling = [(n * 0.005, n * 4 * MIB) for n in range(1, 26)]
    settled = [(0.125 + n * 0.005, 100 * MIB) for n in range(1, 100)]
    found = looks(filling + settled)
    assert [round(now / 0.005 * 4) for now in found[:-1]] == [32, 64, 96]
    assert SETTLED_SECONDS <= found[-1] - 0.125 <= SETTLED_SECONDS + 0.006
    assert len(found) == 4


def test_steps_grow_with_the_size_so_that_looks_stay_few() -> None:
    gib = [(n * 0.005, n * 64 * MIB) for n in range(1, 1001)]
    assert len(looks(gib)) < 100


def test_a_size_that_comes_again_is_not_looked_at_again() -> None:
    up_and_down = [(n * 0.1, size) for n, size in enumerate([200 * MIB, 20 * MIB] * 20)]
    assert looks(up_and_down) == [0.0]


def test_filling_is_looked_at_though_the_process_was_larger_before() -> None:
    heights = Heights()

    def step(now: float, virtual: int, resident: int) -> list[str]:
        causes = heights.causes(now, virtual, resident)
        if causes:
            heights.taken(now, causes, virtual, resident)
        return causes

    assert step(0.0, 1000 * MIB, 900 * MIB) == ["virtual", "resident", "filled"]
    assert step(1.0, 700 * MIB, 200 * MIB) == []
    assert step(2.0, 9000 * MIB, 210 * MIB) == ["virtual"]
    assert step(2.1, 9000 * MIB, 210 * MIB + STEP_BYTES) == ["filled"]
    assert heights.is_leap(12_000 * MIB, 0)
    assert not heights.is_leap(10_000 * MIB, 1000 * MIB)
    assert step(3.0, 1000 * MIB, 500 * MIB) == []


def test_the_snapshot_shown_is_near_the_largest_heap_and_has_most_in_ram() -> None:
    assert choose([10, 1000, 990, 960, 900], [1, 50, 70, 60, 99]) == 2
    assert choose([0], [5]) == 0
