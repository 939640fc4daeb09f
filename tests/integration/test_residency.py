"""Known answers for three numbers of a place: asked for in all, held at the heap's peak, resident then."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from somaray.allocations.snapshots import read_snapshots
from somaray.allocations.summarise import summarise
from somaray.cli import main
from somaray.records import Allocations, Place, ProcessAllocations
from somaray.report.allocations_document import allocations_document
from support import known_residents as known
from support.orders import order_for, run

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MIB = 2**20
# What Python maps at once for objects of up to 512 bytes.
ARENA_BYTES = MIB
SOURCE = Path(known.__file__).read_text().splitlines()


def huge_pages_come_unasked() -> bool:
    path = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return path.exists() and "[always]" in path.read_text()


# Where the kernel gives huge pages to whoever touches a byte, that is how exactly a part can be touched.
GRAIN_BYTES = 2 * MIB if huge_pages_come_unasked() else PAGE_BYTES


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile the small library with")
    folder = tmp_path_factory.mktemp("library")
    (folder / "blocks.c").write_text(known.LIBRARY)
    command = ["gcc", "-O0", "-fPIC", "-shared", "-pthread", "-o", "blocks.so", "blocks.c"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "blocks.so"


def captured(folder: Path, behaviour: str, parallelism: str | None, library: Path | None = None):
    order = order_for(folder, "support.known_residents", behaviour, parallelism, profiled=True)
    # NumPy asks for huge pages, and a half-touched array would be touched up to the next of them.
    environment = {**order.environment, "NUMPY_MADVISE_HUGEPAGE": "0", "SOMARAY_TEST_LIBRARY": str(library)}
    execution = run(replace(order, environment=environment))
    assert execution.status == "ok"
    return execution, summarise(execution, folder / "capture")


@pytest.fixture(scope="module", params=[None, "0x1x1", "1x1x1"], ids=["driver", "driver's worker thread", "worker"])
def process(request, library: Path, tmp_path_factory: pytest.TempPathFactory) -> ProcessAllocations:
    folder = tmp_path_factory.mktemp("run")
    _, allocations = captured(folder, "everywhere", request.param, library)
    return allocations.processes[-1]


def place_at(process: ProcessAllocations, label: str) -> Place:
    (line,) = [number for number, text in enumerate(SOURCE, 1) if text.endswith(f"# line: {label}")]
    (place,) = [
        place for place in process.places if place.line == line and (place.file or "").endswith("known_residents.py")
    ]
    return place


@pytest.mark.parametrize("label", known.HELD)
def test_total_held_and_resident_bytes_of_a_line(process: ProcessAllocations, label: str) -> None:
    place = place_at(process, label)
    asked_bytes, touched_bytes = known.HELD[label]
    for size_bytes in (place.total_bytes, place.held_bytes, place.alive_bytes):
        # NumPy may ask for a few bytes for an array's shape.
        assert asked_bytes <= size_bytes <= asked_bytes + 32
    assert place.resident_bytes == pytest.approx(touched_bytes, abs=GRAIN_BYTES)


def test_what_was_freed_before_the_peak_or_came_after_it_is_in_the_total_alone(process: ProcessAllocations) -> None:
    for label, asked_bytes in (("before", known.BEFORE_BYTES), ("after", known.AFTER_BYTES)):
        place = place_at(process, label)
        assert asked_bytes <= place.total_bytes <= asked_bytes + 32, label
        assert max(place.held_bytes, place.alive_bytes, place.resident_bytes) <= 32, label


def test_a_thread_that_python_does_not_know_has_the_same_numbers(process: ProcessAllocations) -> None:
    (place,) = [place for place in process.places if place.file is None]
    asked_bytes, touched_bytes = map(sum, zip(*known.IN_THREAD, strict=True))
    assert place.held_bytes == pytest.approx(asked_bytes, rel=0.001)
    assert place.alive_bytes == pytest.approx(asked_bytes, rel=0.001)
    # What else has no Python frame may be resident or not.
    others_bytes = place.alive_bytes - asked_bytes
    assert others_bytes >= 0
    assert touched_bytes <= place.resident_bytes <= touched_bytes + others_bytes + 3 * GRAIN_BYTES


def test_many_small_allocations_share_pages(process: ProcessAllocations) -> None:
    place = place_at(process, "small")
    asked_bytes = known.SMALL_COUNT * known.SMALL_BYTES
    # The list's own pointers are asked for on the same line, and an arena of Python's small objects where the last was full.
    arenas, others_bytes = divmod(place.alive_bytes - asked_bytes, ARENA_BYTES)
    assert arenas <= 1
    assert others_bytes <= 100_000
    without_arena_bytes = asked_bytes + others_bytes
    assert place.resident_bytes >= without_arena_bytes - 2 * PAGE_BYTES
    # Of an arena no more is touched than the thousand objects need.
    assert place.resident_bytes <= without_arena_bytes + 2 * PAGE_BYTES + arenas * (100_000 + GRAIN_BYTES)


def test_resident_memory_adds_up_to_what_the_kernel_counts(process: ProcessAllocations) -> None:
    found = process.residency
    assert found is not None
    assert found.resident_bytes == sum(place.resident_bytes for place in process.places)
    assert found.resident_bytes == sum(place.resident_bytes for place in process.blame)
    assert found.alive_bytes == sum(place.alive_bytes for place in process.places)
    assert found.alive_bytes == pytest.approx(process.heap_peak_bytes, rel=0.01)
    total_bytes = found.resident_bytes + sum(found.other.values()) + found.remainder_bytes
    assert total_bytes == found.rss_bytes
    assert all(size_bytes >= 0 for size_bytes in found.other.values())
    assert abs(found.remainder_bytes) <= 16 * PAGE_BYTES


def test_a_killed_worker_tells_what_was_resident(tmp_path: Path) -> None:
    _, allocations = captured(tmp_path, "kill_worker", "1x1x1")
    workers = [process for process in allocations.processes if process.role == "worker"]
    assert sorted(worker.capture_status for worker in workers) == ["complete", "partial"]
    for worker in workers:
        place = place_at(worker, "killed")
        asked_bytes, touched_bytes = known.HELD["numpy-half"]
        for size_bytes in (place.total_bytes, place.held_bytes, place.alive_bytes):
            assert asked_bytes <= size_bytes <= asked_bytes + 32
        assert place.resident_bytes == pytest.approx(touched_bytes, abs=GRAIN_BYTES)


def test_resident_bytes_are_shown_beside_the_others(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execution, allocations = captured(tmp_path, "everywhere", None, library)
    assert main(["top-allocs", "-m", str(tmp_path / "capture/driver.bin"), "--by", "held", "--top", "3"]) == 0
    first, _, third = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "- `<stack trace unavailable>`: 396 MiB allocated in all, 396 MiB held at the heap's peak, 64"
    )
    assert third.endswith(": 51 MiB allocated in all, 51 MiB held at the heap's peak, 3.98 KiB resident then")
    document = allocations_document([execution], [allocations])
    assert "| Place | Allocated in all | Held at the heap's peak | Resident then |" in document
    (line,) = [line for line in document.splitlines() if line.startswith("- driver: ")]
    assert "libraries and other mapped files" in line
    assert "remainder " in line
    assert "unknown" not in line


def test_a_snapshot_from_before_the_captures_header_is_no_obstacle(library: Path, tmp_path: Path) -> None:
    execution, allocations = captured(tmp_path, "everywhere", None, library)
    (folder,) = (tmp_path / "capture").glob("*.pages")
    (folder / "0.npz").unlink(missing_ok=True)
    first = min(read_snapshots(folder), key=lambda each: each.at_seconds)
    replace(first, capture_bytes=0).write(folder / "0.npz")
    (again,) = summarise(execution, tmp_path / "capture").processes
    (before,) = allocations.processes
    assert again.residency is not None
    assert again.residency.resident_bytes == before.residency.resident_bytes


def test_where_the_kernel_refuses_resident_is_unknown(tmp_path: Path) -> None:
    execution, allocations = captured(tmp_path, "kill_worker", "1x1x1")
    folder = tmp_path / "capture/driver.bin.pages"
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "summary.json").write_text('{"n_snapshots":0,"paused_seconds":0,"refusal":"the kernel does not tell"}')
    allocations = summarise(execution, tmp_path / "capture")
    driver = allocations.processes[0]
    assert driver.residency is None
    assert {(place.alive_bytes, place.resident_bytes) for place in driver.places} == {(None, None)}
    assert "- driver: unknown: the kernel does not tell." in allocations_document([execution], [allocations])
    assert isinstance(allocations, Allocations)
