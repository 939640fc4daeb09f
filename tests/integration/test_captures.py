"""Known answers: programs that allocate known amounts on known lines, captured by memray, read back."""

import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from somaray.allocations.flame_graphs import write_flame_graphs
from somaray.allocations.groups import NAMELESS, PYTHON
from somaray.allocations.read import Capture, read_capture, read_captures
from somaray.allocations.summarise import blamed_places, group_bytes, leaf_places
from somaray.cli import main
from somaray.errors import SomarayError
from somaray.records import Place

MIB = 1 << 20

# Each line's amounts are odd on purpose, so that none can pass for another's.
PROGRAM = """\
import mmap, os, sys, time, threading
import memray
import numpy as np

def churn():
    for _ in range(10):
        bytearray(3 * 2**20 + 7)  # line: churn

def before_the_peak():
    gone = bytearray(40 * 2**20 + 1)  # line: before
    time.sleep(0.05)

def thread():
    held.append(bytearray(6 * 2**20 + 3))  # line: thread

held = []
aggregated = memray.FileFormat.AGGREGATED_ALLOCATIONS if sys.argv[2:] == ["aggregated"] else memray.FileFormat.ALL_ALLOCATIONS
destination = memray.FileDestination(sys.argv[1], overwrite=True, compress_on_exit=False)
with memray.Tracker(destination=destination, file_format=aggregated):
    before_the_peak()
    churn()
    held.append(bytearray(20 * 2**20 + 11))  # line: bytearray
    array = np.empty(30 * 2**20 + 13, dtype=np.uint8)  # line: numpy
    array[:] = 1
    mapped = mmap.mmap(-1, 24 * 2**20)  # line: mmap
    worker = threading.Thread(target=thread)
    worker.start()
    worker.join()
    time.sleep(0.1)
    del array
    mapped.close()
    after = bytearray(9 * 2**20 + 17)  # line: after
    time.sleep(0.05)
    if sys.argv[2:] == ["kill"]:
        os.kill(os.getpid(), 9)
"""

TOTALS = {
    "churn": 10 * (3 * MIB + 7),
    "before": 40 * MIB + 1,
    "thread": 6 * MIB + 3,
    "bytearray": 20 * MIB + 11,
    "mmap": 24 * MIB,
    "after": 9 * MIB + 17,
}
HELD = {"churn": 0, "before": 0, "thread": 6 * MIB + 3, "bytearray": 20 * MIB + 11, "mmap": 24 * MIB, "after": 0}
ARRAY_BYTES = 30 * MIB + 13


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures")
    (folder / "program.py").write_text(PROGRAM)
    return folder


def run(folder: Path, name: str, *arguments: str) -> Path:
    path = folder / name
    done = subprocess.run([sys.executable, str(folder / "program.py"), str(path), *arguments], check=False)
    assert done.returncode == (-signal.SIGKILL if arguments == ("kill",) else 0)
    return path


@pytest.fixture(scope="module")
def capture_file(folder: Path) -> Path:
    return run(folder, "whole.bin")


@pytest.fixture(scope="module")
def capture(capture_file: Path) -> Capture:
    return read_capture(capture_file)


def line_of(label: str) -> int:
    return next(i for i, text in enumerate(PROGRAM.splitlines(), 1) if text.endswith(f"# line: {label}"))


def place_at(places: tuple[Place, ...], label: str) -> Place:
    (place,) = [each for each in places if (each.file or "").endswith("program.py") and each.line == line_of(label)]
    return place


@pytest.mark.parametrize("label", TOTALS)
def test_totals_and_held_bytes_of_a_line_are_exact(capture: Capture, label: str) -> None:
    place = place_at(leaf_places(capture), label)
    # A bytearray asks for one byte more than it holds.
    extra = 0 if label == "mmap" else 10 if label == "churn" else 1
    assert place.total_bytes == TOTALS[label] + extra
    assert place.held_bytes == (HELD[label] + extra if HELD[label] else 0)
    assert place.n_allocations == (10 if label == "churn" else 1)


def test_an_array_is_held_where_numpy_was_called(capture: Capture) -> None:
    array = place_at(leaf_places(capture), "numpy")
    assert (array.total_bytes, array.held_bytes) == (ARRAY_BYTES, ARRAY_BYTES)


def test_places_sum_to_the_process(capture: Capture) -> None:
    assert capture.totals is not None
    places = leaf_places(capture)
    assert sum(place.total_bytes or 0 for place in places) == capture.totals.total_bytes
    assert sum(place.n_allocations or 0 for place in places) == capture.totals.n_allocations
    assert sum(place.held_bytes or 0 for place in places) == capture.held.heap_peak_bytes
    blamed = blamed_places(capture)
    assert sum(place.total_bytes or 0 for place in blamed) == capture.totals.total_bytes
    assert sum(place.held_bytes or 0 for place in blamed) == capture.held.heap_peak_bytes
    groups = {group.name: group for group in group_bytes(capture)}
    assert sum(group.total_bytes or 0 for group in groups.values()) == capture.totals.total_bytes
    assert sum(group.n_allocations or 0 for group in groups.values()) == capture.totals.n_allocations
    assert sum(group.held_bytes for group in groups.values()) == capture.held.heap_peak_bytes
    assert (groups[PYTHON].total_bytes or 0) >= sum(TOTALS.values()) + ARRAY_BYTES
    assert groups[NAMELESS].total_bytes is not None
    known = sum(HELD.values()) + ARRAY_BYTES
    assert known < capture.held.heap_peak_bytes < known * 1.01


def test_resident_memory_is_that_of_the_moment_of_the_peak(capture: Capture) -> None:
    """The array and bytearrays are written to, the mapping never is."""
    rss_bytes, touched_bytes = capture.held.rss_bytes, ARRAY_BYTES + HELD["bytearray"] + HELD["thread"]
    assert rss_bytes is not None
    assert touched_bytes < rss_bytes < touched_bytes + 100 * MIB
    assert capture.held.sampled_heap_bytes == pytest.approx(capture.held.heap_peak_bytes, rel=0.001)
    assert capture.held.seconds is not None
    assert 0.05 < capture.held.seconds < 10


def test_a_killed_process_leaves_a_partial_capture_with_true_numbers(folder: Path) -> None:
    capture = read_capture(run(folder, "killed.bin", "kill"))
    assert not capture.held.closed
    assert place_at(leaf_places(capture), "after").total_bytes == TOTALS["after"] + 1
    assert place_at(leaf_places(capture), "bytearray").held_bytes == HELD["bytearray"] + 1


def test_an_aggregated_capture_tells_what_was_held_alone(
    folder: Path, capsys: pytest.CaptureFixture[str], capture: Capture
) -> None:
    path = run(folder, "aggregated.bin", "aggregated")
    aggregated = read_capture(path)
    assert aggregated.totals is None
    assert place_at(leaf_places(aggregated), "bytearray").held_bytes == HELD["bytearray"] + 1
    assert aggregated.held.heap_peak_bytes == pytest.approx(capture.held.heap_peak_bytes, rel=0.01)
    assert main(["top-allocs", "-m", str(path), "--top", "1"]) == 0
    assert (
        capsys.readouterr().out == f"- `{folder / 'program.py'}:{line_of('numpy')}`: 30 MiB held at the heap's peak\n"
    )


def test_top_allocs_lists_any_capture(capture_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top-allocs", "-m", str(capture_file), "--top", "3"]) == 0
    program = capture_file.parent / "program.py"
    assert capsys.readouterr().out == (
        f"- `{program}:{line_of('before')}`: 40 MiB allocated in all, 0 B held at the heap's peak\n"
        f"- `{program}:{line_of('churn')}`: 30 MiB allocated in all, 0 B held at the heap's peak\n"
        f"- `{program}:{line_of('numpy')}`: 30 MiB allocated in all, 30 MiB held at the heap's peak\n"
    )


def test_damaged_files_are_errors_and_never_crashes(capture_file: Path, tmp_path: Path) -> None:
    whole = capture_file.read_bytes()
    paths = []
    for index, (start, stop) in enumerate([(0, 64), (60, 300), (len(whole) // 2, len(whole) // 2 + 400)]):
        path = tmp_path / f"damaged-{index}.bin"
        path.write_bytes(whole[:start] + bytes([0xF7]) * (stop - start) + whole[stop:])
        paths.append(path)
    empty = tmp_path / "empty.bin"
    empty.touch()
    answers = read_captures([*paths, empty, tmp_path / "missing.bin", tmp_path])
    for path, answer in zip([*paths, empty, tmp_path / "missing.bin", tmp_path], answers, strict=True):
        assert isinstance(answer, SomarayError)
        assert str(answer).startswith(str(path))


def test_a_killed_process_may_leave_half_a_record(folder: Path, tmp_path: Path) -> None:
    whole = run(folder, "killed-too.bin", "kill").read_bytes().rstrip(b"\0")
    notes = set()
    for keep in range(len(whole) - 40, len(whole) - 20, 4):
        (tmp_path / "cut.bin").write_bytes(whole[:keep])
        capture = read_capture(tmp_path / "cut.bin")
        notes.add(capture.note[:22])
        assert place_at(leaf_places(capture), "bytearray").held_bytes == HELD["bytearray"] + 1
    assert notes <= {"", "reading stopped early:"}


def test_a_finished_capture_that_was_cut_short_is_damaged(capture_file: Path, tmp_path: Path) -> None:
    whole = capture_file.read_bytes().rstrip(b"\0")
    outcomes = []
    for keep in range(len(whole) // 2, len(whole) // 2 + 12):
        (tmp_path / "cut.bin").write_bytes(whole[:keep])
        (answer,) = read_captures([tmp_path / "cut.bin"])
        outcomes.append(isinstance(answer, SomarayError) and "cut short" in str(answer))
    # Where the cut falls between two records memray cannot tell it from the end.
    assert any(outcomes)


class _Requests(HTMLParser):
    """Collects what a browser would fetch by itself on opening a page."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style":
            self.fetched += re.findall(r"@import.*|url\(['\"]?([^'\")]*)", data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_flame_graphs_request_nothing(capture_file: Path, tmp_path: Path) -> None:
    captures = tmp_path / "capture"
    captures.mkdir()
    os.link(capture_file, captures / "driver.bin")
    os.link(capture_file, captures / "worker-0-12.bin")
    (captures / "worker-1-13.bin").touch()
    unreadable = write_flame_graphs(captures, tmp_path / "flamegraph")
    assert list(unreadable) == ["worker-1-13.bin"]
    assert sorted(path.name for path in (tmp_path / "flamegraph").iterdir()) == ["driver.html", "worker-0-12.html"]
    text = (tmp_path / "flamegraph" / "driver.html").read_text()
    requests = _Requests()
    requests.feed(text)
    assert [url for url in requests.fetched if not url.startswith(("#", "data:"))] == []
    assert any(url.startswith("data:") for url in requests.fetched), "the styles were looked at"
    assert "program.py" in text


def test_flame_graphs_want_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SomarayError, match="no such folder"):
        write_flame_graphs(tmp_path / "nowhere", tmp_path / "out")
