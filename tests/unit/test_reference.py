"""A reference is Scanpy in memory where that fits, else one pass; what was cut off or would be chosen otherwise is made anew."""

import io

import pandas as pd
import pytest

from somaray.agreement import read_hvg
from somaray.config import AUTO_MEMORY_BYTES, Settings
from somaray.failures import failures
from somaray.measure import reconsider, reference
from somaray.measure.execute import write_hvg
from somaray.measure.orders import Outputs
from somaray.records import Reference, read_record, write_record
from somaray.settings import HvgSettings, Limits, ProfileSettings
from support.made_records import execution, manifest

NEEDED_BYTES = 12_345 * 32
"""The made manifest's non-zeros at 32 bytes each."""


class Host:
    """Executes nothing, and ends each method as told."""

    def __init__(self, folder, monkeypatch, **ends):
        self.folder, self.ends, self.jobs = folder, ends, []
        monkeypatch.setattr(reference, "supervise", self.supervise)

    def supervise(self, order, log):
        self.jobs.append(order.job)
        self.limits = order.limits
        status = self.ends.get(order.job.method.replace("-", "_"), "ok")
        if status == "ok":
            write_hvg(order.job.hvg_path, pd.DataFrame({"highly_variable": [True, False]}, index=["a", "b"]))
        return execution(None, None, status=status, reason="" if status == "ok" else "why")

    def make(self, memory_bytes=None, allocated_mib=None, **changes) -> Reference:
        limits = Limits(memory_bytes=memory_bytes)
        settings = Settings({}, (), 1, HvgSettings(), ProfileSettings(), limits, ())
        write_record(self.folder / "manifest.json", manifest(**changes))
        outputs = Outputs(self.folder / "reference.json", self.folder / "hvg.parquet", self.folder / "memory.parquet")
        considered = self.reconsidered(memory_bytes)
        reference.make_reference(
            settings, "heart", self.folder / "manifest.json", outputs, io.StringIO(), considered, allocated_mib
        )
        return read_record(self.folder / "reference.json", Reference)

    def reconsidered(self, memory_bytes=None) -> int:
        return reconsider.reconsidered(self.folder, Limits(memory_bytes=memory_bytes))


@pytest.mark.parametrize("status", ["killed", "failed"])
def test_cut_off_reference_is_counted_as_a_failure(status, tmp_path, monkeypatch) -> None:
    made = Host(tmp_path, monkeypatch, in_memory=status).make()
    assert (made.method, f"{status} (why)" in made.reason) == (None, True)
    assert failures(tmp_path, "reference") == 1


def test_what_fits_is_made_in_memory(tmp_path, monkeypatch) -> None:
    host = Host(tmp_path, monkeypatch)
    made = host.make(memory_bytes=NEEDED_BYTES)
    assert (made.method, made.reason, made.genes_selected) == ("in-memory", "", 1)
    assert [job.method for job in host.jobs] == ["in-memory"]


def test_what_does_not_fit_is_made_in_one_pass(tmp_path, monkeypatch) -> None:
    host = Host(tmp_path, monkeypatch)
    made = host.make(memory_bytes=200_000)
    assert made.method == "one-pass"
    assert made.reason == "in memory it needs about 386 KiB, allowed 195 KiB"
    # As little memory as there is, one thread must do.
    assert [(job.method, job.parallelism, job.chunk_size) for job in host.jobs] == [("one-pass", "0x1x1", None)]
    assert failures(tmp_path, "reference") == 0


def test_unknown_non_zeros_are_not_tried_in_memory(tmp_path, monkeypatch) -> None:
    host = Host(tmp_path, monkeypatch)
    made = host.make(nnz=None)
    assert (made.method, made.needed_bytes) == ("one-pass", None)
    assert "number of non-zeros unknown" in made.reason
    assert host.reconsidered(10**15) == 0


def test_out_of_memory_in_memory_falls_back_and_is_tried_again_with_more_only(tmp_path, monkeypatch) -> None:
    host = Host(tmp_path, monkeypatch, in_memory="out of memory")
    made = host.make(memory_bytes=10**6)
    assert (made.method, made.reason) == ("one-pass", "in memory it ended out of memory (why)")
    assert [job.method for job in host.jobs] == ["in-memory", "one-pass"]
    assert failures(tmp_path, "reference") == 0
    assert (host.reconsidered(10**6), host.reconsidered(2 * 10**6)) == (0, 1)


def test_nothing_left_says_why_not_and_is_no_reference(tmp_path, monkeypatch) -> None:
    host = Host(tmp_path, monkeypatch, one_pass="out of memory")
    made = host.make(memory_bytes=1024)
    assert (made.method, made.genes_selected) == (None, None)
    assert made.reason.startswith("in memory it needs about 386 KiB, allowed 1 KiB; the reference (one-pass) did not")
    assert read_hvg(tmp_path / "hvg.parquet").empty
    assert failures(tmp_path, "reference") == 0


def test_a_larger_budget_makes_it_anew_once(tmp_path, monkeypatch) -> None:
    host = Host(tmp_path, monkeypatch)
    assert host.reconsidered(1000) == 0
    host.make(memory_bytes=1000)
    assert (host.reconsidered(1000), host.reconsidered(AUTO_MEMORY_BYTES)) == (0, 0)
    assert host.reconsidered(NEEDED_BYTES) == host.reconsidered(None) == 1
    # Snakemake removes the outputs before it makes them anew.
    (tmp_path / "reference.json").unlink()
    assert host.reconsidered(NEEDED_BYTES) == 1
    assert host.make(memory_bytes=NEEDED_BYTES).method == "in-memory"
    assert host.reconsidered(NEEDED_BYTES) == host.reconsidered(1000) == 1


def test_a_changed_source_of_one_pass_makes_its_references_anew(tmp_path, monkeypatch) -> None:
    host = Host(tmp_path, monkeypatch)
    host.make(memory_bytes=1000)
    monkeypatch.setattr(reconsider.stages, "reference_fingerprint", lambda method: f"new {method}")
    assert host.reconsidered(1000) == 1
    assert host.make(memory_bytes=1000).considered == 1
    assert host.reconsidered(1000) == 1
    host.make(memory_bytes=NEEDED_BYTES)
    monkeypatch.setattr(reconsider.stages, "reference_fingerprint", lambda method: f"newer {method}")
    assert host.reconsidered(NEEDED_BYTES) == 2


@pytest.mark.parametrize("memory_bytes", [None, AUTO_MEMORY_BYTES, 10**15], ids=str)
def test_the_memory_of_its_job_is_its_budget_and_no_limit_will_change_that(memory_bytes, tmp_path, monkeypatch) -> None:
    host = Host(tmp_path, monkeypatch)
    made = host.make(memory_bytes, allocated_mib=11_024, nnz=10**9)
    assert (made.method, made.reason) == ("one-pass", "in memory it needs about 29.8 GiB, allowed 8.79 GiB")
    assert host.limits.memory_bytes == 9000 * 2**20
    assert host.reconsidered(memory_bytes) == 0
    assert host.make(memory_bytes, allocated_mib=11_024).method == "in-memory"
    assert host.make(10**6, allocated_mib=11_024).method == "in-memory"
    assert host.limits.memory_bytes == 10**6
