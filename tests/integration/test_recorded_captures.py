"""Groups and blame on a recorded capture of each method, held against a second, plain way to count its bytes."""

import json
import lzma
from collections import Counter
from pathlib import Path

import pytest
from memray import AllocatorType, FileReader

from somaray.allocations.groups import ARITHMETIC, COMMUNICATION, CSR, GRAPH, GROUPS, NAMELESS, OBS_VAR, X_READ
from somaray.allocations.read import Capture, read_capture
from somaray.allocations.summarise import blamed_places, group_bytes, leaf_places

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
EXPECTED = json.loads((CAPTURES / "groups.json").read_text())
METHODS = tuple(EXPECTED)
MIB = 2**20
MOST_BYTES = 400 * 1024
FREES = (AllocatorType.FREE, AllocatorType.MUNMAP, AllocatorType.PYMALLOC_FREE)

Stack = tuple[tuple[str, str, int], ...]


class Recorded:
    """One capture: as it is summarised, and its bytes by call stack, counted record by record."""

    def __init__(self, method: str, folder: Path) -> None:
        path = folder / f"{method}.bin"
        path.write_bytes(lzma.decompress((CAPTURES / f"{method}.bin.xz").read_bytes()))
        self.capture: Capture = read_capture(path)
        self.groups = {group.name: group for group in group_bytes(self.capture)}
        self.by_stack: Counter[Stack] = Counter()
        with FileReader(path) as reader:
            for record in reader.get_allocation_records():
                if record.allocator not in FREES:
                    self.by_stack[tuple(record.stack_trace(max_stacks=500))] += record.size

    def total(self, *groups: str) -> int:
        return sum(self.groups[group].total_bytes or 0 for group in groups)

    def below(self, function: str, file: str, *, not_above: str = "<none>") -> int:
        """Bytes of all stacks with a frame of that function and file; none that has a file like `not_above`."""
        return sum(
            size
            for stack, size in self.by_stack.items()
            if any(frame[0] == function and frame[1].endswith(file) for frame in stack)
            and not any(not_above in frame[1] for frame in stack)
        )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory):
    folder, read = tmp_path_factory.mktemp("recorded"), {}

    def read_once(method: str) -> Recorded:
        if method not in read:
            read[method] = Recorded(method, folder)
        return read[method]

    return read_once


@pytest.mark.parametrize("method", METHODS)
def test_groups_and_blame_sum_to_the_capture(recorded, method: str) -> None:
    one: Recorded = recorded(method)
    totals, held = one.capture.totals, one.capture.held
    assert totals is not None
    assert totals.total_bytes == one.by_stack.total()
    assert tuple(one.groups) == GROUPS[: len(one.groups)]
    for sums in (one.groups.values(), leaf_places(one.capture), blamed_places(one.capture)):
        assert sum(each.total_bytes or 0 for each in sums) == totals.total_bytes
        assert sum(each.n_allocations or 0 for each in sums) == totals.n_allocations
    assert sum(group.held_bytes for group in one.groups.values()) == held.heap_peak_bytes


@pytest.mark.parametrize("method", METHODS)
def test_each_group_has_the_bytes_it_had_when_the_capture_was_recorded(recorded, method: str) -> None:
    groups = recorded(method).groups
    found = {name: [group.total_bytes, group.held_bytes] for name, group in groups.items() if group.n_allocations}
    assert found == EXPECTED[method]


@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_frame_is_the_nameless_group(recorded, method: str) -> None:
    one: Recorded = recorded(method)
    assert one.total(NAMELESS) == one.by_stack[()]


def test_a_chunk_task_is_read_and_made_into_csr(recorded) -> None:
    one: Recorded = recorded("soma-dask")
    assert one.total(X_READ, CSR) == one.below("sparse_chunk", "tiledbsoma/_dask/load.py")
    assert one.total(CSR) >= one.below("from_ijd", "tiledbsoma/_fastercsx.py") > 0
    assert one.total(GRAPH) > one.total(COMMUNICATION) > 0
    assert one.total(ARITHMETIC) > 0


def test_x_read_whole_is_read_and_made_into_csr(recorded) -> None:
    one: Recorded = recorded("in-memory")
    assert one.total(X_READ, CSR) == one.below("_read_as_csr", "tiledbsoma/_query.py")
    assert one.total(GRAPH, COMMUNICATION) == 0


@pytest.mark.parametrize("method", ["soma-dask", "in-memory"])
def test_obs_and_var_are_read_into_a_buffer_a_column_at_least(recorded, method: str) -> None:
    """28 + 1 columns of obs, 6 of var or so, with buffers of 1 MiB each, all held at the peak."""
    one: Recorded = recorded(method)
    assert one.total(OBS_VAR) >= one.below("_read_axis_dataframe", "tiledbsoma/_query.py") >= 35 * MIB
    assert one.groups[OBS_VAR].held_bytes >= 35 * MIB
    held = max(blamed_places(one.capture), key=lambda place: place.held_bytes or 0)
    assert (held.package, held.file) == ("tiledbsoma", "tiledbsoma/_read_iters.py")


def test_strips_are_read_by_one_pass_and_summed(recorded) -> None:
    one: Recorded = recorded("one-pass")
    assert one.total(X_READ) >= one.below("read_strip", "onepass/reading.py") > 0
    assert one.total(CSR) == 0
    assert one.total(ARITHMETIC) > 0


@pytest.mark.parametrize("method", ["h5ad-dask", "zarr-dask"])
def test_chunks_of_a_file_are_read(recorded, method: str) -> None:
    one: Recorded = recorded(method)
    assert one.total(X_READ) >= one.below("make_dask_chunk", "anndata/_io/specs/lazy_methods.py") > 0
    assert one.total(OBS_VAR) >= one.below("read_dataframe", "anndata/_io/specs/methods.py") > 0
    assert one.total(ARITHMETIC, GRAPH) > 0
    assert one.total(CSR) == 0


def test_census_reads_and_computes(recorded) -> None:
    one: Recorded = recorded("census")
    assert one.total(ARITHMETIC) > 0
    assert one.total(X_READ) > 0
    assert one.total(GRAPH, COMMUNICATION) == 0


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.xz")), ids=lambda path: path.name)
def test_captures_are_small_and_know_no_machine(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    content = lzma.decompress(path.read_bytes())
    assert b"/ho" + b"me/" not in content
    assert b"/ro" + b"ot/" not in content
