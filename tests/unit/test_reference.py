"""A reference that was cut off is tried again; one that does not fit is not, and says so."""

import io

import pytest

from somaray.config import Settings
from somaray.failures import failures
from somaray.measure import orders
from somaray.records import Reference, read_record, write_record
from somaray.settings import HvgSettings, Limits, ProfileSettings
from support.made_records import execution, manifest


def make(tmp_path, monkeypatch, status: str, memory_bytes: int | None = None) -> Reference:
    ended = execution(None, None, status=status, reason="why")
    monkeypatch.setattr(orders, "supervise", lambda order, log: ended)
    settings = Settings({}, (), 1, HvgSettings(), ProfileSettings(), Limits(memory_bytes=memory_bytes), ())
    write_record(tmp_path / "manifest.json", manifest())
    outputs = orders.Outputs(tmp_path / "reference.json", tmp_path / "hvg.parquet", tmp_path / "memory.parquet")
    orders.make_reference(settings, "heart", tmp_path / "manifest.json", outputs, io.StringIO())
    return read_record(tmp_path / "reference.json", Reference)


@pytest.mark.parametrize(("status", "counted"), [("killed", 1), ("failed", 1), ("out of memory", 0)])
def test_cut_off_reference_is_counted_as_a_failure(status, counted, tmp_path, monkeypatch) -> None:
    reference = make(tmp_path, monkeypatch, status)
    assert (reference.method, f"{status} (why)" in reference.reason) == (None, True)
    assert failures(tmp_path, "reference") == counted


def test_reference_that_does_not_fit_is_not_tried(tmp_path, monkeypatch) -> None:
    # 12,345 non-zeros at 32 bytes each.
    reference = make(tmp_path, monkeypatch, "killed", memory_bytes=200_000)
    assert reference.method is None
    assert "386 KiB" in reference.reason
    assert "195 KiB" in reference.reason
    assert failures(tmp_path, "reference") == 0
