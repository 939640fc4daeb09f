"""What a run's job asks a scheduler for, what is the run's own of it, and the profiles that carry it."""

import stat

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from somaray.config import AUTO_MEMORY_BYTES
from somaray.matrix import Run
from somaray.settings import Limits
from somaray.submission import BESIDE_MINUTES, WHOLE_CORES, cores_of, request_for, within_allocation
from somaray.units import parse_parallelism

MIB = 2**20


def run(parallelism: str | None) -> Run:
    return Run("d", "m", None, None) if parallelism is None else Run("d", "m", 100, parse_parallelism(parallelism))


@pytest.mark.parametrize(
    ("parallelism", "cores"),
    [("1x1x1", 2), ("4x4x4", 17), ("16x1x4", 65), ("2x4x1", 9), ("0x4x2", 5), ("0x1x3", 4), (None, WHOLE_CORES)],
)
def test_cores_are_the_drivers_and_the_busier_threads_of_each_process(parallelism, cores) -> None:
    assert cores_of(run(parallelism)) == cores


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


@pytest.mark.parametrize("name", ["slurm", "cluster-generic"])
def test_profiles_try_again_and_ask_for_every_resource(root, name) -> None:
    profile = yaml.safe_load((root / "profiles" / name / "config.yaml").read_text())
    assert profile["retries"] == 1
    assert set(profile["default-resources"]) >= {"mem_mb", "runtime"}
    script = profile.get("cluster-generic-status-cmd")
    assert script is None or (root / script).stat().st_mode & stat.S_IXUSR
