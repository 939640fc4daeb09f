"""Known answers for allocations without a Python frame: named by the C function that asked, to the byte."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from somaray.allocations.native import name_nameless
from somaray.allocations.native_names import OTHER
from somaray.allocations.native_record import NativeAllocations, NativeProcess
from somaray.errors import SomarayError
from somaray.records import read_record, write_record
from somaray.report.allocations_document import allocations_document
from somaray.report.native_table import native_section
from somaray.settings import ProfileSettings
from support import known_residents as known
from support.made_records import allocations, execution, process

RUN = "heart/soma-dask/100_2x1x1"
MIB = 2**20
FREED_BYTES, KEPT_BYTES = 40 * MIB + 3, (30 * MIB + 5, 20 * MIB + 7)

PROGRAM = """\
import ctypes, os, sys
import memray
capture, library, native, kill = sys.argv[1:]
library = ctypes.CDLL(library)
library.give.restype = library.give_in_thread.restype = ctypes.c_void_p
library.give.argtypes = [ctypes.c_size_t]
library.give_in_thread.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
library.take_back.argtypes = [ctypes.c_void_p]
destination = memray.FileDestination(capture, overwrite=True, compress_on_exit=False)
with memray.Tracker(destination=destination, native_traces=native == "native"):
    library.take_back(library.give_in_thread({freed}, 0))
    kept = [library.give_in_thread(size, 0) for size in {kept}]
    with_a_frame = library.give(50 * 2**20)
    if kill == "kill":
        os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def capture_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile the small library with")
    folder = tmp_path_factory.mktemp("native")
    (folder / "blocks.c").write_text(known.LIBRARY)
    (folder / "program.py").write_text(PROGRAM.format(freed=FREED_BYTES, kept=KEPT_BYTES))
    command = ["gcc", "-O0", "-fPIC", "-shared", "-pthread", "-o", "blocks.so", "blocks.c"]
    subprocess.run(command, cwd=folder, check=True)
    (folder / "capture").mkdir()
    for file, native, kill in (
        ("driver.bin", "native", "live"),
        ("worker-0-7.bin", "native", "kill"),
        ("worker-1-8.bin", "plain", "live"),
    ):
        path = folder / "capture" / file
        command = [sys.executable, "program.py", str(path), str(folder / "blocks.so"), native, kill]
        subprocess.run(command, cwd=folder, check=kill == "live")
        if kill == "live":
            Path(f"{path}.ok").touch()
    return folder / "capture"


@pytest.fixture(scope="module")
def named(capture_dir: Path) -> NativeAllocations:
    captured = execution(
        replicate=None,
        profile=ProfileSettings(native_traces=True),
        processes=(process("driver", 300 * MIB, capture="driver.bin"),),
    )
    return name_nameless(captured, capture_dir, RUN)


@pytest.mark.parametrize("index", [0, 1], ids=["driver", "killed worker"])
def test_bytes_of_a_thread_python_does_not_know_are_named_by_its_function(named: NativeAllocations, index: int) -> None:
    own = named.processes[index]
    assert own.capture_status == ("complete", "partial")[index]
    (fill,) = [place for place in own.places if place.symbol == "fill"]
    assert (fill.total_bytes, fill.held_bytes) == (FREED_BYTES + sum(KEPT_BYTES), sum(KEPT_BYTES))
    assert (fill.n_allocations, fill.group) == (3, OTHER)
    # What has a Python frame is none of them.
    assert not [place for place in own.places if place.symbol == "give"]
    assert own.total_bytes is not None
    assert own.total_bytes >= own.nameless_total_bytes + 50 * MIB


@pytest.mark.parametrize("index", [0, 1])
def test_places_and_groups_sum_to_the_nameless_bytes(named: NativeAllocations, index: int) -> None:
    own: NativeProcess = named.processes[index]
    for sums in (own.places, own.groups):
        assert sum(each.total_bytes or 0 for each in sums) == own.nameless_total_bytes
        assert sum(each.held_bytes for each in sums) == own.nameless_held_bytes
    assert own.named_total_bytes / own.nameless_total_bytes > 0.99


def test_a_capture_without_native_traces_says_so(named: NativeAllocations) -> None:
    assert named.processes[2].capture_status == "unreadable"
    assert "it has no native traces" in named.processes[2].note


def test_an_execution_without_native_traces_is_refused(capture_dir: Path) -> None:
    plain = execution(replicate=None, profile=ProfileSettings())
    with pytest.raises(SomarayError, match="not captured with native traces"):
        name_nameless(plain, capture_dir, RUN)


def test_the_record_is_read_back(named: NativeAllocations, tmp_path: Path) -> None:
    write_record(tmp_path / "native.json", named)
    assert read_record(tmp_path / "native.json", NativeAllocations) == named


def test_the_document_names_what_had_no_stack(named: NativeAllocations) -> None:
    captured = execution(replicate=None, profile=ProfileSettings())
    document = allocations_document([captured], [allocations()], natives=[named])
    assert "#### Without a Python frame\n" in document
    assert "`<stack trace unavailable>` by native function" in document
    assert re.search(r"^\| `fill` \|  \| other libraries \| 180 MiB \| 100 MiB \|$", document, re.M)
    assert re.search(r"^\d+\.\d% of 18\d MiB without a Python frame got a name\.", document, re.M)
    assert "Without a Python frame\n" not in allocations_document([captured], [allocations()])


def test_a_run_that_left_no_capture_is_told(named: NativeAllocations) -> None:
    lost = msgspec.structs.replace(named, processes=(), status="killed", reason="signal 9")
    assert "Nothing was captured: killed (signal 9)." in native_section(lost)
