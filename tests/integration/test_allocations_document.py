"""From real, small captures of a driver and two workers to `allocations.json` and the document, every line of it."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from somaray.allocations.foreign import read_foreign
from somaray.allocations.summarise import summarise
from somaray.cli import main
from somaray.records import Allocations, Execution, Host, ProcessRecord, Provenance, read_record, write_record
from somaray.report.allocations_document import allocations_document
from somaray.settings import DaskSettings, HvgSettings, Limits, ProfileSettings

MIB = 1 << 20
GOLDEN = Path(__file__).parent / "data" / "allocations.md"
NOTES = Path(__file__).parents[1] / "unit" / "data" / "notes_100k_2x3x4.json"

# Files under site-packages/ stand for the workflow's layers; what is captured is real.
LAYER = """\
import scipy_like
def read(n):
    return scipy_like.copy(n)
"""
LIBRARY = """\
def copy(n):
    for _ in range(4):
        bytearray(n // 2 - 1)
    return bytearray(n - 1)
"""
PROGRAM = """\
import os, sys, time
sys.path[:0] = [sys.argv[1] + "/site-packages", sys.argv[1] + "/site-packages/scipy"]
from tiledbsoma import reads
import memray
with memray.Tracker(destination=memray.FileDestination(sys.argv[2], overwrite=True, compress_on_exit=False)):
    kept = reads.read(int(sys.argv[3]) * 2**20)
    time.sleep(0.2)  # so that memray samples resident memory while it is held
    if sys.argv[4:]:
        os.kill(os.getpid(), 9)
"""

PROVENANCE = Provenance(
    host=Host(name="lab_1", cpu_model="CPU", logical_cores=2, usable_cores=2, memory_bytes=1 << 34, kernel="Linux 6"),
    python="3.12.1",
    versions={"tiledbsoma": "2.3.0", "scipy": "1.18.1"},
    made_at="2026-01-02T03:04:05+00:00",
)


def execution(*processes: ProcessRecord, **changes: Any) -> Execution:
    fields: Mapping[str, Any] = {
        "dataset": "he_art",
        "method": "soma-dask",
        "chunk_size": 100_000,
        "parallelism": "2x1x4",
        "replicate": None,
        "attempt": 1,
        "status": "ok",
        "reason": "",
        "n_obs": 1_559_974,
        "n_vars": 60_530,
        "wall_seconds": 12.5,
        "cpu_seconds": 20.0,
        "phases": (),
        "peak_pss_bytes": None,
        "peak_pss_seconds": None,
        "read_bytes": None,
        "disk_read_bytes": None,
        "processes": processes,
        "chunk_reads": None,
        "limits": Limits(),
        "hvg": HvgSettings(),
        "tiledb": {},
        "dask": DaskSettings(),
        "profile": ProfileSettings(),
        "environment": {},
        "provenance": PROVENANCE,
    }
    return Execution(**{**fields, **changes})


def process(name: str, pid: int, rss_mib: int) -> ProcessRecord:
    return ProcessRecord(
        name=name,
        role="driver" if name == "driver" else "worker",
        pid=pid,
        host="lab_1",
        peak_rss_bytes=rss_mib * MIB,
        peak_pss_bytes=None,
        cpu_seconds=1.0,
        read_bytes=None,
        disk_read_bytes=None,
        capture="driver.bin" if name == "driver" else f"{name}-{pid}.bin",
        capture_status="complete",
    )


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    for path, text in {"tiledbsoma/reads.py": LAYER, "scipy/scipy_like.py": LIBRARY}.items():
        (folder / "code/site-packages" / path).parent.mkdir(parents=True)
        (folder / "code/site-packages" / path).with_name("__init__.py").touch()
        (folder / "code/site-packages" / path).write_text(text)
    (folder / "code/program.py").write_text(PROGRAM)
    (folder / "capture").mkdir()
    for file, mib, *kill in [
        ("driver.bin", 16),
        ("worker-0-11.bin", 8),
        ("worker-1-12.bin", 4),
        ("worker-1-13.bin", 2, "kill"),
    ]:
        path = folder / "capture" / str(file)
        command = [
            sys.executable,
            str(folder / "code/program.py"),
            str(folder / "code"),
            str(path),
            str(mib),
            *map(str, kill),
        ]
        subprocess.run(command, check=not kill)
        if not kill:
            Path(f"{path}.ok").touch()
    (folder / "capture/worker-2-14.bin").touch()
    # worker-1-13 was killed and worker-2-14 died at once: neither is known to the execution.
    record = execution(process("driver", 10, 300), process("worker-0", 11, 200), process("worker-1", 12, 100))
    write_record(folder / "capture.json", record)
    return folder


@pytest.fixture(scope="module")
def allocations(run_dir: Path) -> Allocations:
    return summarise(read_record(run_dir / "capture.json", Execution), run_dir / "capture")


def test_every_capture_is_summarised_with_its_status(allocations: Allocations, tmp_path: Path) -> None:
    assert [(each.name, each.pid, each.role, each.capture_status) for each in allocations.processes] == [
        ("driver", 10, "driver", "complete"),
        ("worker-0", 11, "worker", "complete"),
        ("worker-1", 12, "worker", "complete"),
        ("worker-1", 13, "worker", "partial"),
        ("worker-2", 14, "worker", "unreadable"),
    ]
    assert allocations.versions == {"tiledbsoma": "2.3.0", "scipy": "1.18.1", "cpython": "3.12.1"}
    write_record(tmp_path / "allocations.json", allocations)
    assert read_record(tmp_path / "allocations.json", Allocations) == allocations


def test_bytes_are_charged_to_the_line_that_allocates_and_to_the_layer_above(allocations: Allocations) -> None:
    driver = allocations.processes[0]
    held = next(place for place in driver.places if place.held_bytes)
    assert (held.package, held.file, held.line, held.held_bytes) == ("scipy", "scipy/scipy_like.py", 4, 16 * MIB)
    blamed = driver.blame[0]
    assert (blamed.package, blamed.file, blamed.line, blamed.function) == (
        "tiledbsoma",
        "tiledbsoma/reads.py",
        3,
        "read",
    )
    assert blamed.held_bytes == 16 * MIB


def test_top_allocs_finds_the_captures_of_a_record(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = (
        "- [scipy/scipy\\_like.py](https://github.com/scipy/scipy/blob/v1.18.1/scipy/scipy_like.py#L3): "
        "32 MiB allocated in all, 0 B held at the heap's peak\n"
    )
    for file in ("capture.json", "capture/driver.bin"):
        assert main(["top-allocs", "-m", str(run_dir / file), "--top", "1", "--process", "driver"]) == 0
        assert capsys.readouterr().out == expected


def test_the_document_of_a_run(allocations: Allocations, run_dir: Path) -> None:
    """Every line; resident memory, which no test can know, is left out."""
    document = allocations_document([read_record(run_dir / "capture.json", Execution)], [allocations])
    rss = re.compile(r"^((?:\| [^|]+ ){4}\| )[\d.]+ MiB( \| [^|]+ \|)$", re.M)
    own, _, closing = document.partition("## Measured with")
    assert rss.sub(r"\1RSS\2", own) == GOLDEN.read_text()
    assert "lab\\_1" in closing


def test_a_failed_run_says_so_and_shows_what_came_before(allocations: Allocations, run_dir: Path) -> None:
    failed = execution(status="out of memory", reason="12.1 of 12 GiB <killed>", wall_seconds=None)
    document = allocations_document([failed], [])
    assert "**Failed: out of memory (12.1 of 12 GiB \\<killed\\>)**; captured is what came before." in document
    assert "Nothing was captured." in document
    assert "#### Driver" in allocations_document([failed], [allocations])


def test_a_replay_is_folded_away_under_its_run() -> None:
    folder = "hvg/he_art/soma-dask/100k_2x1x4"
    document = allocations_document([execution()], [], replays="hvg")
    assert (
        "Ended well after 12.5 s under memray.\n\n<details><summary>Video</summary>\n\n"
        "[![Tasks and memory of he\\_art/soma-dask/100k\\_2x1x4 as they came]"
        f"({folder}/replay.webp)]({folder}/replay.mp4)\n\n</details>\n"
    ) in document
    assert "Video" not in allocations_document([execution()], [])


def test_imported_runs_stand_under_their_own_dataset_and_are_marked() -> None:
    document = allocations_document([], [], [read_foreign(NOTES)], {"tiledbsoma": "abc123"})
    assert "## spleen, soma-dask: 250,000 cells, 100k cells a chunk\n\n### 2x3x4 (imported)\n" in document
    assert (
        "From notes\\_100k\\_2x3x4.json, measured elsewhere: 50 s in all. The driver's heap peak was 3 GiB" in document
    )
    assert "- [tiledbsoma/\\_read\\_iters.py](https://github.com/single-cell-data/TileDB-SOMA/blob/abc123/" in document


def test_no_runs_are_said_to_be_none() -> None:
    assert "No run was captured." in allocations_document([], [])


def test_runs_come_in_the_order_of_the_matrix_under_one_heading_a_chunk_size() -> None:
    runs = [
        execution(chunk_size=chunk, parallelism=layout)
        for chunk, layout in [(200_000, "2x2x2"), (100_000, "16x1x4"), (100_000, "4x4x4")]
    ]
    document = allocations_document([*runs, execution(method="in-memory", chunk_size=None, parallelism=None)], [])
    assert re.findall(r"^##+ .*", document, re.M)[:7] == [
        "## he\\_art, in-memory: 1,559,974 cells, read whole",
        "### One process",
        "## he\\_art, soma-dask: 1,559,974 cells, 100k cells a chunk",
        "### 4x4x4",
        "### 16x1x4",
        "## he\\_art, soma-dask: 1,559,974 cells, 200k cells a chunk",
        "### 2x2x2",
    ]


def test_a_variant_stands_beside_the_default_of_its_run() -> None:
    layouts = (
        {"chunk_size": 1000, "parallelism": "2x1x1"},
        {"method": "in-memory", "chunk_size": None, "parallelism": None},
    )
    runs = [execution(variant=variant, **layout) for layout in layouts for variant in ("small", "default")]
    document = allocations_document(runs, [])
    assert re.findall(r"^### .*", document, re.M) == [
        "### One process",
        "### One process, small",
        "### 2x1x1",
        "### 2x1x1, small",
    ]
