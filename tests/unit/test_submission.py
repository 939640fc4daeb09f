"""What a run's job asks a scheduler for, what is the run's own of it, and the profiles that carry it."""

import stat

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from somaray.beginnings import TRIES_WITH_MORE_MEMORY
from somaray.config import AUTO_MEMORY_BYTES, load_settings
from somaray.matrix import Run
from somaray.plan.constants import Prediction
from somaray.record_files import write_record
from somaray.settings import Limits
from somaray.submission import (
    BESIDE_MINUTES,
    MEMORY_ROOM,
    WHOLE_CORES,
    cores_of,
    planned_request,
    request_for,
    second_memory_mib,
    within_allocation,
)
from somaray.units import parse_parallelism
from support.made_records import manifest

MIB = 2**20


def run(parallelism: str | None) -> Run:
    return Run("d", "m", None, None) if parallelism is None else Run("d", "m", 100, parse_parallelism(parallelism))


@pytest.mark.parametrize(
    ("parallelism", "cores"),
    [("1x1x1", 2), ("4x4x4", 17), ("16x1x4", 65), ("2x4x1", 9), ("0x4x2", 5), ("0x1x3", 4), (None, WHOLE_CORES)],
)
def test_cores_are_the_drivers_and_the_busier_threads_of_each_process(parallelism, cores) -> None:
    assert cores_of(run(parallelism)) == cores


def prediction(peak_mib: int, seconds: float | None) -> Prediction:
    return Prediction(peak_pss_bytes=peak_mib * MIB, largest_worker_bytes=None, seconds=seconds)


def test_a_job_asks_for_what_is_planned_with_room_and_never_for_more_than_the_budget() -> None:
    planned = prediction(3000, 60.0)
    room = {"mem_mb": 5000 + 1024, "runtime": 4 + BESIDE_MINUTES}
    assert request_for(run("1x1x1"), Limits(), planned).resources() == room
    assert request_for(run("1x1x1"), Limits(memory_bytes=AUTO_MEMORY_BYTES), planned).resources() == room
    wide = Limits(memory_bytes=9000 * MIB, time_seconds=3600.0)
    assert request_for(run("1x1x1"), wide, planned).resources() == room
    tight = Limits(memory_bytes=1800 * MIB, time_seconds=120.0)
    assert request_for(run("1x1x1"), tight, planned).resources() == {"mem_mb": 3024, "runtime": 2 + BESIDE_MINUTES}
    # Nothing is known of the time of data read over the net.
    assert "runtime" not in request_for(run("1x1x1"), Limits(), prediction(3000, None)).resources()


def test_what_no_node_has_is_not_asked_for_by_a_prediction() -> None:
    """Slurm would refuse the job; so it is tried on the largest node. A budget is the user's own word."""
    planned = prediction(30_000, 60.0)
    assert request_for(run("1x1x1"), Limits(), planned, most_mib=16_000).memory_mib == 16_000
    budget = Limits(memory_bytes=18_000 * MIB)
    assert request_for(run("1x1x1"), budget, planned, most_mib=16_000).memory_mib == 20_000 + 1024
    assert request_for(run("1x1x1"), Limits(), prediction(3000, 1.0), most_mib=16_000).memory_mib == 5000 + 1024


@given(st.integers(1, 10**6))
def test_a_run_as_planned_ends_within_its_job(peak_mib) -> None:
    allocated_mib = request_for(run("1x1x1"), Limits(), prediction(peak_mib, 1.0)).memory_mib
    own_bytes = within_allocation(Limits(memory_bytes=AUTO_MEMORY_BYTES), allocated_mib).memory_bytes
    assert own_bytes >= MEMORY_ROOM * peak_mib * MIB


def test_the_request_follows_the_manifest_once_it_is_there(tmp_path) -> None:
    """Nothing is asked for a dataset of unknown size; nothing else that may change meanwhile counts."""
    (tmp_path / "store").mkdir()
    settings = load_settings(
        {
            "catalogue": {"heart": {"kind": "soma", "uri": str(tmp_path / "store")}},
            "datasets": ["heart"],
            "methods": ["soma-dask"],
            "chunk_sizes": [100],
            "parallelism": ["2x1x1"],
        }
    )
    (own,) = settings.runs
    assert planned_request(settings, own, tmp_path).resources() == {}
    write_record(tmp_path / "datasets/heart/manifest.json", manifest())
    small = planned_request(settings, own, tmp_path)
    write_record(tmp_path / "datasets/heart/manifest.json", manifest(n_obs=100, nnz=10**9))
    large = planned_request(settings, own, tmp_path)
    assert 1024 < small.memory_mib < large.memory_mib
    assert BESIDE_MINUTES < small.minutes < large.minutes


def test_without_limits_the_profile_decides() -> None:
    assert request_for(run("1x1x1"), Limits()).resources() == {}
    assert request_for(run("1x1x1"), Limits(memory_bytes=AUTO_MEMORY_BYTES)).resources() == {}


def test_limits_become_memory_and_minutes_with_what_stands_beside() -> None:
    asked = request_for(run("1x1x1"), Limits(memory_bytes=9000 * MIB, time_seconds=61.0)).resources()
    assert asked == {"mem_mb": 10_000 + 1024, "runtime": 2 + BESIDE_MINUTES}


@given(st.integers(1, 2**43))
def test_the_job_of_a_limit_never_tightens_it(limit_bytes) -> None:
    limits = Limits(memory_bytes=limit_bytes)
    allocated_mib = request_for(run("1x1x1"), limits).memory_mib
    assert within_allocation(limits, allocated_mib) == limits


@given(st.integers(1, 10**7), st.one_of(st.just(AUTO_MEMORY_BYTES), st.integers(1, 2**43)))
def test_a_run_stays_below_its_jobs_memory(allocated_mib, limit_bytes) -> None:
    own_bytes = within_allocation(Limits(memory_bytes=limit_bytes), allocated_mib).memory_bytes
    assert own_bytes < allocated_mib * MIB
    assert limit_bytes == AUTO_MEMORY_BYTES or own_bytes <= limit_bytes


def test_no_limit_stays_none_and_outside_a_job_nothing_changes() -> None:
    assert within_allocation(Limits(), 1000) == Limits()
    automatic = Limits(memory_bytes=AUTO_MEMORY_BYTES)
    assert within_allocation(automatic, None) == automatic
    assert within_allocation(automatic, 11_024).memory_bytes == 9000 * MIB


@pytest.mark.parametrize(
    ("first_mib", "measured_mib", "second_mib"), [(1000, None, 2000), (1000, 800, 1500), (1000, 1201, 1802)]
)
def test_a_second_job_asks_for_half_as_much_again_as_was_needed_at_least(first_mib, measured_mib, second_mib) -> None:
    assert second_memory_mib(first_mib, measured_mib) == second_mib


@pytest.mark.parametrize("name", ["slurm", "cluster-generic"])
def test_profiles_try_again_and_ask_for_every_resource(root, name) -> None:
    profile = yaml.safe_load((root / "profiles" / name / "config.yaml").read_text())
    # One with more memory, and one more to write the row if that one ends too.
    assert profile["retries"] + 1 == TRIES_WITH_MORE_MEMORY
    assert set(profile["default-resources"]) >= {"mem_mb", "runtime"}
    script = profile.get("cluster-generic-status-cmd")
    assert script is None or (root / script).stat().st_mode & stat.S_IXUSR
