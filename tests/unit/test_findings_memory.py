"""Rules about memory: buffers never touched, workers above others, spilling, budgets."""

import pytest

from somaray.settings import Limits
from support.found import GIB, OBS, captured, found, held_by, place, work
from support.made_records import MIB, allocations, execution, manifest, process


def test_obs_buffers_are_told_with_columns_share_and_setting() -> None:
    large = manifest(obs_columns=tuple(f"c{index}" for index in range(28)))
    held = allocations(processes=(held_by("driver", place(44 * GIB, 302 * 1024)),))
    finding = found(manifests=(large,), captures=(captured(),), held=(held,), rule="obs-buffers")
    assert finding is not None
    (text,) = finding.evidence
    for number in ("44 GiB", "302 KiB", "0.00065 %", "28 columns of obs × 1 GiB make 28 GiB", f"`{OBS}:551`"):
        assert number in text
    assert "`tiledb: {soma.init_buffer_bytes: 16MiB}`" in finding.remedy
    assert finding.runs == ("heart/soma-dask/100_2x1x1",)


@pytest.mark.parametrize("resident_bytes", [5 * GIB, 44 * GIB])
def test_obs_buffers_that_are_used_are_none(resident_bytes: int) -> None:
    held = allocations(processes=(held_by("driver", place(44 * GIB, resident_bytes)),))
    assert found(captures=(captured(),), held=(held,), rule="obs-buffers") is None


def test_small_obs_buffers_are_none() -> None:
    held = allocations(processes=(held_by("driver", place(200 * MIB, 0)),))
    assert found(captures=(captured(),), held=(held,), rule="obs-buffers") is None


def test_where_pages_are_unknown_the_high_water_mark_decides() -> None:
    held = allocations(processes=(held_by("driver", place(44 * GIB, None)),))
    low, high = (
        found(
            captures=(captured(processes=(process("driver", mark_bytes),)),),
            held=(held,),
            rule="obs-buffers",
        )
        for mark_bytes in (900 * MIB, 40 * GIB)
    )
    assert low is not None
    assert "never had more than 900 MiB in RAM" in low.evidence[0]
    assert high is None


def test_the_variant_with_smaller_buffers_proves_it() -> None:
    small = {"variant": "small-buffers"}
    tiledb = {"soma.init_buffer_bytes": str(16 * MIB)}
    finding = found(
        captures=(captured(), captured(**small, tiledb=tiledb)),
        timings=(execution(), execution(**small, tiledb=tiledb, peak_pss_bytes=490 * MIB)),
        held=(
            allocations(processes=(held_by("driver", place(44 * GIB, 0)),)),
            allocations(processes=(held_by("driver", place(90 * MIB, 0), heap_peak_bytes=GIB),), **small),
        ),
        rule="obs-buffers",
    )
    assert finding is not None
    assert finding.evidence[0] == "One of 2 runs: held by them 44 GiB."
    assert finding.evidence[-1] == (
        "`100_2x1x1_small-buffers`, the same with 1 column × 16 MiB: the line holds 90 MiB instead of 44 GiB; "
        "heap peak of the driver 45 GiB → 1 GiB; peak PSS of the run 500 MiB → 490 MiB."
    )


def test_other_memory_that_is_hardly_touched() -> None:
    held = allocations(
        processes=(
            held_by("driver", place(44 * GIB, 0)),
            held_by("worker-0", place(GIB, 10 * MIB, file="tiledbsoma/_query.py", line=713)),
        )
    )
    finding = found(captures=(captured(),), held=(held,), rule="untouched")
    assert finding is not None
    assert finding.evidence == (
        "`100_2x1x1`: worker-0 held 1 GiB at `tiledbsoma/_query.py:713`, of which 10 MiB were resident (0.98 %).",
    )


def test_spilling_and_pausing() -> None:
    troubled = work(spilled_bytes=3 * GIB, n_pauses=2, paused_seconds=7.5)
    finding = found(timings=(execution(dask_work=troubled),), rule="spilled")
    assert finding is not None
    assert finding.evidence == ("`100_2x1x1`: 3 GiB written to disk; workers paused 2 times, 7.5 s in all.",)


@pytest.mark.parametrize(("most_mib", "expected"), [(400, True), (290, False)])
def test_a_worker_far_above_the_others(most_mib: int, expected: bool) -> None:
    sizes = {"worker-0": 200, "worker-1": most_mib, "worker-2": 180, "worker-3": 210}
    processes = tuple(process(name, size * MIB) for name, size in sizes.items())
    finding = found(timings=(execution(parallelism="4x1x1", processes=processes),), rule="worker-above")
    assert (finding is not None) == expected
    if finding is not None:
        assert finding.evidence == ("`100_4x1x1`: worker-1 had a VmHWM of 400 MiB, the others 200 MiB (median).",)


def test_a_worker_that_stands_out_by_its_heap_alone() -> None:
    held = allocations(
        processes=(
            held_by("worker-0", heap_peak_bytes=GIB),
            held_by("worker-1", heap_peak_bytes=4 * GIB),
            # Killed early: its heap had no time to grow.
            held_by("worker-2", heap_peak_bytes=MIB, capture_status="partial"),
        )
    )
    finding = found(captures=(captured(),), timings=(execution(),), held=(held,), rule="worker-above")
    assert finding is not None
    assert finding.evidence == ("`100_2x1x1`: worker-1 had a heap peak of 4 GiB, the others 1 GiB (median).",)


def test_a_lost_worker_is_told() -> None:
    three = tuple(process(name, 200 * MIB, pid=pid) for pid, name in enumerate(("worker-0", "worker-1", "worker-0")))
    finding = found(captures=(captured(processes=three),), rule="lost-workers")
    assert finding is not None
    assert finding.evidence == ("`100_2x1x1`: 3 worker processes in capture, 2 at a time; it ended ok.",)


def test_stopped_for_memory_and_what_was_bearable() -> None:
    stopped = execution(
        None, chunk_size=500, status="out of memory", reason="12.1 GiB of 12 GiB", peak_pss_bytes=12 * GIB
    )
    near = execution(chunk_size=200, peak_pss_bytes=11 * GIB)
    finding = found(timings=(stopped, near, execution()), rule="memory-budget")
    assert finding is not None
    assert finding.evidence == (
        "2 of 3 runs: peak PSS 11 GiB to 12 GiB.",
        "`500_2x1x1`: stopped, out of memory (12.1 GiB of 12 GiB).",
        "Least memory of the others: `100_2x1x1` with 500 MiB.",
    )
    assert found(timings=(execution(limits=Limits(), peak_pss_bytes=90 * GIB),), rule="memory-budget") is None
