"""Processes of a run: what is joined from its records, as a table, as the notes' short lines, and as the command."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from somaray.cli import main
from somaray.records import ProcessAllocations, write_record
from somaray.report.processes import process_rows, process_table, processes_markdown, short_lines
from somaray.settings import DaskSettings
from somaray.units import format_bytes_short
from support.made_records import MIB, allocations, execution, process

GIB = 1024 * MIB


def heap(
    name: str, pid: int, heap_peak_bytes: int | None, status: str = "complete", **changes: Any
) -> ProcessAllocations:
    return ProcessAllocations(
        name=name,
        role=name.partition("-")[0],
        pid=pid,
        capture=f"{name}-{pid}.bin",
        capture_status=status,
        total_bytes=None if heap_peak_bytes is None else 2 * heap_peak_bytes,
        n_allocations=1,
        heap_peak_bytes=heap_peak_bytes,
        heap_peak_seconds=1.0,
        rss_at_heap_peak_bytes=0,
        places=(),
        **changes,
    )


def ran(name: str, pid: int, status: str | None = "complete", peak_mib: int = 500):
    return process(name, peak_mib * MIB, pid=pid, capture=f"{name}-{pid}.bin", capture_status=status)


# Worker 1 was killed and replaced; a helper process of a library is none of the run's.
CAPTURE = execution(
    replicate=None,
    parallelism="12x1x1",
    processes=(
        ran("worker-10", 6),
        ran("worker-1", 4),
        ran("worker-1", 9, "partial"),
        ran("driver", 1),
        process("other-77", MIB, pid=77),
    ),
)
ALLOCATIONS = allocations(
    parallelism="12x1x1",
    processes=(
        heap("driver", 1, 39 * GIB),
        heap("worker-1", 9, 3 * GIB, "partial"),
        heap("worker-1", 4, 7 * GIB),
        heap("worker-10", 6, None, "unreadable", note="empty file"),
    ),
)
TIMINGS = [
    execution(
        replicate=replicate,
        parallelism="12x1x1",
        processes=(process("driver", size * MIB), process("worker-1", 80 * MIB)),
    )
    for replicate, size in enumerate((300, 100, 210), 1)
]


def test_short_lines_are_the_notes_own() -> None:
    assert short_lines(process_rows(CAPTURE, TIMINGS, ALLOCATIONS)).splitlines() == [
        "scheduler: 39G",
        "worker_1: 3.0G (partial)",
        "worker_1: 7.0G",
        "worker_10: unknown (unreadable: empty file)",
    ]


def test_a_driver_without_workers_keeps_its_name() -> None:
    alone = execution(replicate=None, parallelism="0x2x1", processes=(ran("driver", 1),))
    assert short_lines(process_rows(alone, [], ALLOCATIONS)) == "driver: 39G"


def test_rows_join_by_process_and_take_medians_of_timings() -> None:
    rows = process_rows(CAPTURE, TIMINGS, ALLOCATIONS)
    assert [(row.name, row.pid, row.replaced) for row in rows] == [
        ("driver", 1, False),
        ("worker-1", 9, True),
        ("worker-1", 4, False),
        ("worker-10", 6, False),
    ]
    assert (rows[0].timed_rss_bytes, rows[0].timed_pss_bytes) == (210 * MIB, 209 * MIB)
    assert (rows[2].heap_peak_bytes, rows[2].total_bytes) == (7 * GIB, 14 * GIB)
    assert rows[3].timed_rss_bytes is None


def test_the_table_tells_a_killed_worker_from_its_replacement() -> None:
    lines = process_table(process_rows(CAPTURE, TIMINGS, ALLOCATIONS)).splitlines()
    assert lines[0].split(" | ")[2] == "heap peak"
    assert lines[3] == (
        "| worker-1 (process 9, killed) | partial | 3 GiB | 6 GiB | 80 MiB | 79 MiB | 500 MiB | 499 MiB |"
    )
    assert lines[4].startswith("| worker-1 | complete | 7 GiB | 14 GiB |")


def test_hosts_are_told_where_there_are_several_or_workers_live_elsewhere() -> None:
    two = msgspec.structs.replace(
        CAPTURE,
        processes=(ran("driver", 1), msgspec.structs.replace(ran("worker-1", 1), host="node2")),
    )
    own = two.processes[0].host
    lines = process_table(process_rows(two, TIMINGS, None)).splitlines()
    assert [line.split(" | ")[1] for line in lines if "--" not in line] == ["host", own, "node2"]
    elsewhere = msgspec.structs.replace(CAPTURE, dask=DaskSettings(cluster="slurm"))
    assert "| host |" in process_table(process_rows(elsewhere, TIMINGS, None))
    assert "host" not in process_table(process_rows(CAPTURE, TIMINGS, None))


def test_the_document_has_a_section_a_run_and_says_how_it_ended() -> None:
    failed = execution(None, None, chunk_size=500, status="out of memory", reason="12.1 GiB of 12 GiB", processes=())
    text = processes_markdown([failed, CAPTURE], TIMINGS, [ALLOCATIONS])
    assert text.index("## heart/soma-dask/100\\_12x1x1") < text.index("## heart/soma-dask/500\\_2x1x1")
    assert "**out of memory (12.1 GiB of 12 GiB)**" in text
    assert "No process left a record." in text


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    run_dir = tmp_path / "results/hvg/heart/soma-dask/100_12x1x1"
    write_record(run_dir / "capture.json", CAPTURE)
    write_record(run_dir / "allocations.json", ALLOCATIONS)
    for timing in TIMINGS:
        write_record(run_dir / f"timing/{timing.replicate}.json", timing)
    monkeypatch.chdir(tmp_path)
    return run_dir


def test_command_takes_a_directory_or_a_name(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for name in (str(results), "heart/soma-dask/100_12x1x1"):
        assert main(["processes", name]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] == process_table(process_rows(CAPTURE, TIMINGS, ALLOCATIONS))
    assert main(["processes", "--short", str(results)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "scheduler: 39G"


def test_what_is_no_run_is_one_line(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["processes", "heart/soma-dask/200_1x1x1"]) == 2
    assert capsys.readouterr().err == (
        "somaray: heart/soma-dask/200_1x1x1: not a run: no capture.json in heart/soma-dask/200_1x1x1 or "
        "results/hvg/heart/soma-dask/200_1x1x1\n"
    )


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.0K"),
        (7 * GIB, "7.0G"),
        (9.96 * MIB, "10M"),
        (39.4 * GIB, "39G"),
        (1023.7 * MIB, "1.0G"),
    ],
)
def test_short_sizes(size_bytes: float, text: str) -> None:
    assert format_bytes_short(size_bytes) == text
