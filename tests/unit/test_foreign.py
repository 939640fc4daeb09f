import json
from pathlib import Path

import pytest

from somaray.allocations.foreign import read_foreign
from somaray.errors import SomarayError

OWN = Path(__file__).parent / "data" / "notes_100k_2x3x4.json"


def written(folder: Path, name: str, **fields: object) -> Path:
    path = folder / "heart" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"times": {"hvg": 8.0}, "total_time": 10.0} | fields))
    return path


def test_reads_every_field() -> None:
    run = read_foreign(OWN)
    assert (run.run.path, run.n_obs) == ("spleen/soma-dask/100k_2x3x4", 250_000)
    assert (run.wall_seconds, run.hvg_seconds, run.cells_per_second, run.hvg_cells_per_second) == (50, 40, 5000, 6250)
    assert (run.driver_heap_peak_bytes, run.driver_total_bytes) == (3 << 30, 4_000_000_000)
    assert [(place.package, place.file, place.line, place.function, place.total_bytes) for place in run.places] == [
        ("tiledbsoma", "tiledbsoma/_read_iters.py", 12, "__next__", 2 << 30),
        (None, None, None, None, 1_600_000_000),
        ("dask", "dask/utils_test.py", 3, "<listcomp>", 1 << 20),
        (None, "/home/some one/run [1].py", 9, "go", 1023),
    ]
    assert {place.held_bytes for place in run.places} == {None}


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("100k_4x2x8", {}, "heart/soma-dask/100k_4x2x8"),
        (
            "tdbs_50k_d16_T4",
            {"dask": {"chunk_size": 50000, "threads": 16}, "tdb_concurrency": 4},
            "heart/soma-dask/50k_0x16x4",
        ),
        ("tdbs_50k_d16_T4", {}, "heart/soma-dask/50k_0x16x4"),
        ("tdbs_50k_d1x16_T4", {}, "heart/soma-dask/50k_1x16x4"),
        (
            "anything",
            {"dask": {"chunk_size": 50000, "procs": 1, "threads_per_proc": 16}, "tdb_concurrency": 4},
            "heart/soma-dask/50k_1x16x4",
        ),
        ("h5ad_100k_4x4", {}, "heart/h5ad-dask/100k_4x4x0"),
        ("h5ad_100k_4x4", {"tdb_concurrency": 4}, "heart/h5ad-dask/100k_4x4x0"),
        # The record is believed before its name.
        ("100k_4x2x8", {"dask_chunk_size": 200000, "tissue": "lung"}, "lung/soma-dask/200k_4x2x8"),
    ],
)
def test_what_a_record_lacks_comes_from_its_names(
    tmp_path: Path, name: str, fields: dict[str, object], expected: str
) -> None:
    assert read_foreign(written(tmp_path, name, **fields)).run.path == expected


def test_cells_are_rate_times_seconds_where_not_recorded(tmp_path: Path) -> None:
    assert read_foreign(written(tmp_path, "100k_4x2x8", obs_per_s=155.03)).n_obs == 1550
    assert read_foreign(written(tmp_path, "100k_4x2x8")).n_obs is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a record of HVG profiling"),
        ("[]", "not a record of HVG profiling"),
        ('{"total_time": 1}', "times"),
        ('{"times": {}, "total_time": "long"}', "total_time"),
        ('{"times": {}, "total_time": 1}', "chunk size and parallelism"),
        (
            '{"times": {}, "total_time": 1, "dask": {"chunk_size": 1, "threads": 1}, '
            '"top_allocs": [{"location": "x", "size": 1}]}',
            "not function:file:line",
        ),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "notes.json"
    path.write_text(content)
    with pytest.raises(SomarayError, match=message) as caught:
        read_foreign(path)
    assert str(path) in str(caught.value)


def test_reads_all_of_the_original_records(shared_records: Path) -> None:
    runs = {path.stem: read_foreign(path) for path in sorted((shared_records / "hvg" / "heart").glob("*.json"))}
    assert len(runs) == 13
    assert {run.dataset for run in runs.values()} == {"heart"}
    assert {run.n_obs for run in runs.values()} == {1_559_974}
    assert {stem: run.run.setting for stem, run in runs.items()} == {
        stem: {
            "h5ad_100k_4x4": "100k_4x4x0",
            "h5ad_200k_4x4": "200k_4x4x0",
            "h5ad_50k_4x4": "50k_4x4x0",
            "tdbs_50k_d16_T4": "50k_0x16x4",
            "tdbs_50k_d1x16_T4": "50k_1x16x4",
        }.get(stem, stem)
        for stem in runs
    }
