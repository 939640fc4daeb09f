"""An execution that its job's memory ends: left to a larger job once, and then a record that tells of both."""

import re

import pytest

from somaray.beginnings import beginning_path, left_behind
from somaray.config import load_settings
from somaray.errors import SomarayError
from somaray.failures import failures
from somaray.matrix import Run
from somaray.measure.orders import Outputs, measure
from somaray.records import Execution, read_record
from somaray.registry import METHODS, Method
from support.orders import SCRIPTS, TESTS, order_for
from support.workflow import TINY

JOB_MIB = 1200
"""Of which a run may have 540 MiB."""


@pytest.fixture
def try_it(tmp_path, monkeypatch):
    """Measure a run that takes ever more memory, in a job of some size; by the number of the try."""
    order_for(tmp_path, "support.known_methods", "grow")
    monkeypatch.setitem(METHODS, "in-memory", Method("support.known_methods", "", chunked=False))
    monkeypatch.setenv("PYTHONPATH", f"{SCRIPTS}:{TESTS}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SOMARAY_LOCK_DIR", str(tmp_path))
    monkeypatch.setattr("somaray.batch.ask", lambda job: None)
    settings = load_settings({**TINY, "hvg": {"batch_key": "grow"}, "limits": {"memory": "auto"}})
    folder = tmp_path / "run"
    outputs = Outputs(folder / "timing/1.json", folder / "timing/1.hvg.parquet", folder / "memory/1.parquet")

    def again(tries: int, allocated_mib: int, retries: int = 2) -> Execution:
        run, manifest = Run("tiny", "in-memory"), tmp_path / "manifest.json"
        with (tmp_path / "log").open("w") as log:
            measure(settings, run, manifest, 1, 1, outputs, log, None, tries, retries, allocated_mib)
        assert left_behind(beginning_path(folder, "timing-1")) is None
        return read_record(outputs.record, Execution)

    again.folder = folder
    return again


def test_a_run_over_its_jobs_memory_is_measured_once_more_and_its_record_says_so(try_it) -> None:
    with pytest.raises(
        SomarayError, match=r"out of memory \(\d+ MiB of 540 MiB\) in a job of 1,200 MiB, a larger one is to"
    ):
        try_it(1, JOB_MIB)
    note = left_behind(beginning_path(try_it.folder, "timing-1"))
    assert (note.number, note.allocated_mib) == ("7", JOB_MIB)
    assert note.stopped.endswith("of 540 MiB")
    # What stands beside the run counts too: this process alone has more than 100 MiB.
    assert note.seen_bytes > (540 + 100) * 2**20
    # Nothing that the tables would take for a result, nor a failure that the next invocation would count.
    assert not (try_it.folder / "timing/1.json").exists()
    assert failures(try_it.folder, "timing-1") == 0

    execution = try_it(2, 2 * JOB_MIB)
    assert (execution.status, execution.limits.memory_bytes) == (
        "out of memory",
        int((2 * JOB_MIB - 1024) * 2**20 * 0.9),
    )
    assert execution.retried.reason == note.stopped
    assert execution.retried.memory_bytes == JOB_MIB * 2**20
    assert execution.retried.retried_memory_bytes == 2 * JOB_MIB * 2**20
    assert failures(try_it.folder, "timing-1") == 1


@pytest.mark.parametrize(("tries", "told"), [(2, ""), (3, r"; no job of [\d.]+ GiB came to measure it again")])
def test_where_no_larger_job_comes_the_record_says_why_it_was_stopped(try_it, tries, told) -> None:
    with pytest.raises(SomarayError):
        try_it(1, JOB_MIB)
    execution = try_it(tries, JOB_MIB)
    assert execution.status == "out of memory"
    assert execution.reason.split(";")[0].endswith("of 540 MiB")
    # How large a job depends on what was seen to stand beside the run, this process among it.
    assert re.search(f"{told}$", execution.reason)
    assert execution.retried is None


def test_without_tries_to_spare_the_first_record_is_the_last(try_it) -> None:
    execution = try_it(1, JOB_MIB, retries=1)
    assert execution.status == "out of memory"
    assert execution.peak_pss_bytes > 540 * 2**20
