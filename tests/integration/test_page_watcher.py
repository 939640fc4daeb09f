"""Present pages of a process that stands still, by both ways of asking; a process that goes on whatever happens."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from somaray.allocations.snapshots import ANONYMOUS, FILE, Snapshot
from somaray.measure import page_map, page_watcher
from somaray.measure.process_tree import session_pids
from somaray.measure.standstill import continue_session, stopped

MIB = 2**20
PROGRAM = """\
import mmap, sys, time
touched = mmap.mmap(-1, 64 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
touched[: 16 * 2**20] = b"x" * (16 * 2**20)
shared = mmap.mmap(-1, 32 * 2**20)
shared[: 8 * 2**20] = b"x" * (8 * 2**20)
read = mmap.mmap(-1, 24 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
sum(read[at] for at in range(0, len(read), 4096))  # pages of zeros, shared by all processes
striped = mmap.mmap(-1, 4096 * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
if hasattr(mmap, "MADV_NOHUGEPAGE"):
    striped.madvise(mmap.MADV_NOHUGEPAGE)
for at in range(0, len(striped), 2 * 4096):
    striped[at] = 1  # more runs than the kernel tells in one go
print("ready", flush=True)
n = 0
while True:
    n += 1
    time.sleep(0.001)
    print(n, flush=True)
"""


@pytest.fixture
def program() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        try:
            yield program
        finally:
            program.kill()


def lines_in(program: "subprocess.Popen[str]", seconds: float) -> int:
    assert program.stdout is not None
    os.set_blocking(program.stdout.fileno(), False)
    while program.stdout.read(1 << 16):
        pass
    time.sleep(seconds)
    return len((program.stdout.read(1 << 16) or "").split())


def test_present_pages_add_up_to_the_kernels_own_count(program: "subprocess.Popen[str]", tmp_path: Path) -> None:
    capture = tmp_path / "none.bin"
    capture.write_bytes(b"records" + bytes(100))
    snapshot, paused_seconds = page_watcher.take(program.pid, capture)
    assert snapshot is not None
    assert paused_seconds > 0
    sizes = snapshot.ends - snapshot.starts
    assert snapshot.capture_bytes == 7
    assert len(sizes) > 2048
    assert sizes.sum() == pytest.approx(snapshot.rss_bytes, abs=16 * page_map.PAGE_BYTES)
    assert (snapshot.starts[1:] >= snapshot.ends[:-1]).all()
    assert sizes[snapshot.kinds == ANONYMOUS].sum() > 24 * MIB
    assert sizes[snapshot.kinds == FILE].sum() > MIB
    snapshot.write(tmp_path / "0.npz")
    again = Snapshot.read(tmp_path / "0.npz")
    assert (again.rss_bytes, again.at_seconds) == (snapshot.rss_bytes, snapshot.at_seconds)
    np.testing.assert_array_equal(again.starts, snapshot.starts)


def test_the_older_way_of_asking_gives_the_same_pages_and_those_of_zeros(
    program: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    with stopped(program.pid, 5.0) as stands:
        assert stands
        maps = page_map.read_pages(program.pid).maps
        descriptor = os.open(f"/proc/{program.pid}/pagemap", os.O_RDONLY)
        try:
            old = page_map._read_entries(descriptor, page_map.parse_mappings(maps))
            try:
                new = page_map._scan(descriptor, maps)
            except OSError:
                pytest.skip("this kernel has no PAGEMAP_SCAN")
        finally:
            os.close(descriptor)
    old_pages, new_pages = (
        {page for low, high in zip(*runs, strict=True) for page in range(low, high, page_map.PAGE_BYTES)}
        for runs in (old, new)
    )
    assert new_pages <= old_pages
    assert len(old_pages - new_pages) * page_map.PAGE_BYTES == pytest.approx(24 * MIB, abs=MIB)


def test_a_stopped_process_stands_still_and_goes_on(program: "subprocess.Popen[str]") -> None:
    with stopped(program.pid, 5.0) as stands:
        assert stands
        assert lines_in(program, 0.3) == 0
    assert lines_in(program, 0.3) > 0
    with pytest.raises(ZeroDivisionError), stopped(program.pid, 5.0):
        raise ZeroDivisionError
    assert lines_in(program, 0.3) > 0


def test_a_process_whose_watcher_died_is_let_go(program: "subprocess.Popen[str]") -> None:
    os.kill(program.pid, 19)
    lines_in(program, 0.1)
    assert lines_in(program, 0.2) == 0
    assert session_pids(program.pid) == [program.pid]
    continue_session(program.pid)
    assert lines_in(program, 0.3) > 0


def test_a_kernel_that_shows_no_page_refuses(
    program: "subprocess.Popen[str]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = np.empty(0, np.int64)
    monkeypatch.setattr(page_watcher, "read_pages", lambda pid: page_map.RawPages("", none, none))
    (tmp_path / "a.bin").touch()
    with pytest.raises(PermissionError):
        page_watcher.take(program.pid, tmp_path / "a.bin")
    assert lines_in(program, 0.3) > 0


@pytest.mark.parametrize(("content", "size"), [(b"", 0), (bytes(5000), 0), (b"abc", 3), (b"ab\0c" + bytes(70), 4)])
def test_bytes_written_end_at_the_last_that_is_not_zero(tmp_path: Path, content: bytes, size: int) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    for block_bytes in (1, 3, 1 << 20):
        assert page_watcher.written_bytes(tmp_path / "a.bin", block_bytes) == size
