from pathlib import Path

import pytest

from somaray.allocations.listing import ProcessListing
from somaray.allocations.places import Links
from somaray.cli import main
from somaray.records import Allocations, Place, ProcessAllocations, write_record
from somaray.report.allocation_list import code_span, place_label, process_lists, top_places
from somaray.settings import ProfileSettings

OWN = Path(__file__).parent / "data" / "notes_100k_2x3x4.json"

NOTES = """\
- [tiledbsoma/\\_read\\_iters.py](https://github.com/single-cell-data/TileDB-SOMA/blob/a0348ff5/apis/python/src/tiledbsoma/_read_iters.py#L586): 37 GiB
- [cloudpickle/cloudpickle.py](https://github.com/cloudpipe/cloudpickle/blob/v3.1.1/cloudpickle/cloudpickle.py#L1303): 5.1 GiB
- `<stack trace unavailable>`: 2.75 GiB
- [dask/tokenize.py](https://github.com/dask/dask/blob/2024.11.2/dask/tokenize.py#L242): 2.35 GiB
- [msgpack/\\_\\_init\\_\\_.py](https://github.com/msgpack/msgpack-python/blob/v1.1.0/msgpack/__init__.py#L36): 1.32 GiB
"""


def place(file: str | None = "dask/core.py", total: int | None = 2048, held: int | None = 1024, line: int = 3) -> Place:
    return Place(
        file=file,
        function="f",
        line=line,
        package="dask" if file == "dask/core.py" else None,
        total_bytes=total,
        held_bytes=held,
    )


def process(name: str, pid: int, *places: Place, status: str = "complete", note: str = "") -> ProcessAllocations:
    return ProcessAllocations(
        name=name,
        role="driver" if name == "driver" else "worker",
        pid=pid,
        capture=f"{name}-{pid}.bin",
        capture_status=status,  # type: ignore[arg-type]
        note=note,
        total_bytes=sum(each.total_bytes or 0 for each in places),
        n_allocations=len(places),
        heap_peak_bytes=sum(each.held_bytes or 0 for each in places),
        heap_peak_seconds=1.0,
        rss_at_heap_peak_bytes=512,
        places=places,
    )


def record(path: Path, *processes: ProcessAllocations) -> Path:
    write_record(
        path,
        Allocations(
            dataset="heart",
            method="soma-dask",
            chunk_size=100_000,
            parallelism="2x1x1",
            n_obs=10,
            status="ok",
            profile=ProfileSettings(),
            versions={"dask": "2026.8.0"},
            processes=processes,
        ),
    )
    return path


def test_prints_the_notes_own_lines(shared_records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refs = ["tiledbsoma=a0348ff5", "dask=2024.11.2", "cloudpickle=v3.1.1", "msgpack=v1.1.0"]
    file = shared_records / "hvg" / "heart" / "100k_4x4x4.json"
    assert main(["top-allocs", "-m", str(file), *(part for ref in refs for part in ("--ref", ref))]) == 0
    assert capsys.readouterr().out == NOTES


def test_prints_a_record_of_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top-allocs", "-m", str(OWN), "--ref", "tiledbsoma=abc123", "--ref", "dask=2024.1.0"]) == 0
    assert capsys.readouterr().out == (
        "- [tiledbsoma/\\_read\\_iters.py](https://github.com/single-cell-data/TileDB-SOMA/blob/abc123/"
        "apis/python/src/tiledbsoma/_read_iters.py#L12): 2 GiB\n"
        "- `<stack trace unavailable>`: 1.49 GiB\n"
        "- [dask/utils\\_test.py](https://github.com/dask/dask/blob/2024.1.0/dask/utils_test.py#L3): 1 MiB\n"
        "- `/home/some one/run [1].py:9`: 0.999 KiB\n"
    )


def test_without_a_ref_a_foreign_record_is_not_linked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top-allocs", "-m", str(OWN), "--top", "1"]) == 0
    assert capsys.readouterr().out == "- `tiledbsoma/_read_iters.py:12`: 2 GiB\n"


def test_our_own_record_names_each_process_and_each_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    driver = process("driver", 1, place(total=3 << 30, held=1 << 30), place(None, total=5, held=0))
    worker = process("worker-0", 2, place("/home/me/a|b.py", 4096, 0), status="partial")
    assert main(["top-allocs", "-m", str(record(tmp_path / "allocations.json", driver, worker))]) == 0
    link = "[dask/core.py](https://github.com/dask/dask/blob/2026.8.0/dask/core.py#L3)"
    assert capsys.readouterr().out == (
        "**driver**: 3 GiB allocated in all, 1 GiB held at the heap's peak\n\n"
        f"- {link}: 3 GiB allocated in all, 1 GiB held at the heap's peak\n"
        "- `<stack trace unavailable>`: 5 B allocated in all, 0 B held at the heap's peak\n\n"
        "**worker-0**: 4 KiB allocated in all, 0 B held at the heap's peak (partial capture: the process was killed)\n\n"
        "- `/home/me/a|b.py:3`: 4 KiB allocated in all, 0 B held at the heap's peak\n"
    )


def test_one_process_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record(
        tmp_path / "allocations.json",
        process("driver", 1, place()),
        process("worker-0", 2, place(total=1)),
        process("worker-0", 3, place(total=7, held=7)),
    )
    assert main(["top-allocs", "-m", str(path), "--process", "worker-0-3"]) == 0
    assert capsys.readouterr().out.endswith("#L3): 7 B allocated in all, 7 B held at the heap's peak\n")
    assert main(["top-allocs", "-m", str(path), "--process", "worker-0"]) == 2
    assert "holds driver, worker-0-2, worker-0-3" in capsys.readouterr().err


def test_a_run_directory_is_read_by_its_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "allocations.json", process("driver", 1, place()))
    assert main(["top-allocs", "-m", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_an_unreadable_capture_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record(tmp_path / "allocations.json", process("driver", 1, status="unreadable", note="driver.bin: empty"))
    assert main(["top-allocs", "-m", str(path)]) == 0
    assert "(driver.bin: empty)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b"plain text", "not a memray capture"),
        (b"{", "not JSON"),
        (b'{"a": 1}', "not a record of HVG profiling"),
        (b'{"schema_version": 1}', "holds no allocations"),
        (b'{"schema_version": 1, "processes": []}', "not a Allocations record"),
        (b'{"schema_version": 1, "phases": []}', "not a Execution record"),
        (b'{"schema_version": 9, "processes": []}', "newer"),
        (b'{"times": {}, "total_time": 1, "dask": {"chunk_size": 1, "threads": 1}}', "no top_allocs"),
    ],
)
def test_a_wrong_file_is_one_line_and_no_traceback(
    tmp_path: Path, content: bytes | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "some file.json"
    if content is not None:
        path.write_bytes(content)
    assert main(["top-allocs", "-m", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"somaray: {path}")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top-allocs", "-m", str(tmp_path)]) == 2
    assert "not a run's directory" in capsys.readouterr().err


@pytest.mark.parametrize("top", ["0", "-1", "many"])
def test_top_is_a_positive_number(top: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["top-allocs", "-m", str(OWN), "--top", top])
    assert "above 0" in capsys.readouterr().err


def test_ranks_by_total_or_by_what_is_held() -> None:
    churn, buffer, gone = place(total=100, held=1), place(total=50, held=50, line=4), place(total=0, held=0, line=5)
    assert top_places([buffer, churn, gone], 5) == [churn, buffer]
    assert top_places([churn, buffer, gone], 5, "held") == [buffer, churn]
    aggregated = [place(total=None, held=1), place(total=None, held=2, line=4)]
    assert top_places(aggregated, 5) == aggregated[::-1]


def test_an_aggregated_capture_tells_peaks_alone() -> None:
    listing = ProcessListing("x", None, 3, "", (place("/a.py", None, 3),))
    assert process_lists([listing], Links({}), 5) == "- `/a.py:3`: 3 B held at the heap's peak"


def test_labels_cannot_break_out_of_their_markdown() -> None:
    assert place_label(place("/a`b.py"), Links({})) == "``/a`b.py:3``"
    assert code_span("`x`") == "`` `x` ``"
    assert place_label(place("/a\nb.py"), Links({})) == "`/a b.py:3`"
