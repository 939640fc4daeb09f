"""Records are read back as they were written, and strictly."""

import json
from typing import ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from somaray import record_files, records
from somaray.errors import SomarayError
from somaray.records import Agreement, AgreementCheck, Execution, Record, read_record, write_record
from support.made_records import execution


def every_record(kind=Record):
    for child in kind.__subclasses__():
        if child.__module__ == records.__name__:
            yield child
        yield from every_record(child)


checks = st.builds(
    AgreementCheck,
    execution=st.text(),
    agrees=st.none() | st.booleans(),
    note=st.text(),
    genes_selected=st.none() | st.integers(0, 10**6),
    genes_reference=st.none() | st.integers(0, 10**6),
    genes_in_common=st.none() | st.integers(0, 10**6),
    largest_difference=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
agreements = st.builds(
    Agreement,
    dataset=st.text(),
    method=st.text(),
    chunk_size=st.none() | st.integers(1, 10**9),
    parallelism=st.none() | st.text(),
    variant=st.text(),
    reference=st.none() | st.text(),
    checks=st.lists(checks, max_size=3).map(tuple),
)

AN_AGREEMENT = Agreement(dataset="a", method="b", chunk_size=None, parallelism=None, reference=None, checks=())


@given(agreements)
def test_a_record_is_read_back_as_written(tmp_path_factory, record):
    path = tmp_path_factory.getbasetemp() / "agreement.json"
    write_record(path, record)
    assert read_record(path, Agreement) == record


@pytest.mark.parametrize("kind", list(every_record()), ids=lambda kind: kind.__name__)
def test_a_record_is_written_as_its_own_version(kind):
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    assert fields["schema_version"].default == kind.VERSION
    for version in range(1, kind.VERSION):
        assert (kind.__name__, version) in record_files.UPGRADES


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "deep" / "folder" / "agreement.json"
    write_record(path, AN_AGREEMENT)
    write_record(path, AN_AGREEMENT)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text().endswith("}\n")
    assert json.loads(path.read_text())["dataset"] == "a"


def changed(tmp_path, **fields):
    """A valid record on disk, save for some fields; a field given as `...` is taken out."""
    path = tmp_path / "agreement.json"
    write_record(path, AN_AGREEMENT)
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))
    return path


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"colour": "red"}, "colour"),
        ({"dataset": ...}, "dataset"),
        ({"dataset": 3}, r"\$\.dataset"),
        ({"checks": [{"execution": "capture"}]}, r"\$\.checks\[0\]"),
        ({"schema_version": ...}, "schema_version is missing"),
        ({"schema_version": "1"}, "schema_version is missing"),
        ({"schema_version": 99}, "schema_version 99 is newer than 2"),
        ({"schema_version": 0}, "schema_version 0 is unknown"),
    ],
    ids=str,
)
def test_a_wrong_record_is_told_by_file_and_field(tmp_path, fields, message):
    path = changed(tmp_path, **fields)
    with pytest.raises(SomarayError, match=message) as error:
        read_record(path, Agreement)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff\xfe"])
def test_a_file_that_holds_no_record_is_told(tmp_path, content):
    path = tmp_path / "agreement.json"
    path.write_bytes(content)
    with pytest.raises(SomarayError, match="not JSON|not a Agreement record"):
        read_record(path, Agreement)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(SomarayError, match="no such file, expected a Agreement record"):
        read_record(tmp_path / "agreement.json", Agreement)


class Grown(Record, frozen=True, kw_only=True):
    """A record in its third version: `size` was `size_kb`, then got its unit, then a name was added."""

    VERSION: ClassVar[int] = 3
    schema_version: int = 3
    size_bytes: int
    name: str


def test_older_versions_are_upgraded_step_by_step(tmp_path, monkeypatch):
    monkeypatch.setitem(record_files.UPGRADES, ("Grown", 1), lambda raw: {"size_bytes": raw["size_kb"] * 1000})
    monkeypatch.setitem(record_files.UPGRADES, ("Grown", 2), lambda raw: {**raw, "name": "unnamed"})
    path = tmp_path / "grown.json"
    expected = Grown(size_bytes=2000, name="unnamed")
    for old in ({"schema_version": 1, "size_kb": 2}, {"schema_version": 2, "size_bytes": 2000}):
        path.write_text(json.dumps(old))
        assert read_record(path, Grown) == expected
    write_record(path, expected)
    assert read_record(path, Grown) == expected


def test_records_from_before_there_were_variants_are_of_the_default(tmp_path):
    path = tmp_path / "agreement.json"
    write_record(path, AN_AGREEMENT)
    old = {**json.loads(path.read_text()), "schema_version": 1}
    del old["variant"]
    path.write_text(json.dumps(old))
    assert read_record(path, Agreement) == AN_AGREEMENT
    assert {name for name, version in record_files.UPGRADES if version == 1} >= {
        "Execution",
        "Allocations",
        "Agreement",
    }


def test_executions_from_before_there_were_larger_jobs_had_none(tmp_path):
    path = tmp_path / "1.json"
    now = execution(1.0, 1)
    write_record(path, now)
    old = {**json.loads(path.read_text()), "schema_version": 2}
    del old["retried"]
    path.write_text(json.dumps(old))
    assert read_record(path, Execution) == now


def test_workers_of_earlier_executions_were_below_their_driver(tmp_path):
    path = tmp_path / "1.json"
    write_record(path, execution())
    old = {**json.loads(path.read_text()), "schema_version": 3}
    del old["dask"]["cluster"], old["dask"]["slurm"]
    path.write_text(json.dumps(old))
    assert read_record(path, Execution).dask == execution().dask
