"""Each rule finds what it should in records with chosen figures, says its numbers, and is silent otherwise."""

from typing import Any

import msgspec
import pytest

from somaray.dask_work import DaskWork
from somaray.records import Host, Manifest, Place, ProcessAllocations
from somaray.report.findings import RULES, Finding, Records, find
from somaray.report.findings.scope import percent
from somaray.report.findings_document import findings_document, markdown
from somaray.settings import HvgSettings, Limits, ProfileSettings
from support.made_records import MIB, PROVENANCE, allocations, execution, manifest, process

GIB = 1024 * MIB
OBS = "tiledbsoma/_read_iters.py"


def place(held_bytes: int, resident_bytes: int | None, file: str = OBS, line: int = 551) -> Place:
    return Place(
        file=file,
        function="f",
        line=line,
        package="tiledbsoma",
        total_bytes=held_bytes,
        held_bytes=held_bytes,
        alive_bytes=None if resident_bytes is None else held_bytes,
        resident_bytes=resident_bytes,
    )


def held_by(name: str, *places: Place, heap_peak_bytes: int = 45 * GIB, **changes: Any) -> ProcessAllocations:
    fields: dict[str, Any] = {
        "name": name,
        "role": name.partition("-")[0],
        "pid": 1,
        "capture": f"{name}.bin",
        "capture_status": "complete",
        "total_bytes": heap_peak_bytes,
        "n_allocations": 1,
        "heap_peak_bytes": heap_peak_bytes,
        "heap_peak_seconds": 1.0,
        "rss_at_heap_peak_bytes": 300 * MIB,
        "places": places,
    }
    return ProcessAllocations(**{**fields, **changes})


def work(**changes: Any) -> DaskWork:
    fields: dict[str, Any] = {
        "n_graphs": 3,
        "graph_bytes": 1000,
        "n_tasks": 40,
        "task_bytes": 500,
        "compute_seconds": 14.0,
        "n_pauses": 0,
        "paused_seconds": 0.0,
        "spilled_bytes": 0,
    }
    return DaskWork(**{**fields, **changes})


def captured(wall_seconds: float = 10.0, **changes: Any):
    return execution(wall_seconds, None, profile=ProfileSettings(), **changes)


def found(
    *, manifests: tuple[Manifest, ...] = (manifest(),), captures=(), timings=(), held=(), rule: str = ""
) -> Finding | None:
    findings = [each for each in find(Records(manifests, captures, timings, held)) if each.rule == rule]
    assert len(findings) <= 1
    return findings[0] if findings else None


def quiet(**changes: Any):
    """An execution in which nothing is worth a finding: every chunk is read once, by as many threads as there are cores."""
    return execution(**{"chunk_reads": 10, "dask_work": work(), **changes})


def test_nothing_is_found_where_nothing_is() -> None:
    records = Records((manifest(),), (captured(chunk_reads=10),), (quiet(), quiet(replicate=2)), (allocations(),))
    assert find(records) == []
    assert "No rule found anything." in findings_document([], records.timings)


def test_no_records_no_findings() -> None:
    assert find(Records((), (), (), ())) == []


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


def test_many_runs_are_one_finding_with_their_range_and_the_worst() -> None:
    timings = [
        execution(10.0, replicate, chunk_size=size, chunk_reads=reads, vfs_read_bytes=3 * MIB)
        for size, reads in ((100, 30), (200, 5), (500, 4))
        for replicate in (1, 2)
    ]
    finding = found(timings=timings, rule="read-again")
    assert finding is not None
    assert finding.evidence[0] == "2 of 3 runs: times X was read: 2 to 3."
    assert finding.evidence[1] == (
        "`100_2x1x1`: 30 reads of 10 chunks, 3 of each: some 37,035 non-zeros read, 12,345 stored; 3 MiB read by TileDB "
        "in all, X on disk 1 MiB."
    )
    assert finding.runs == ("heart/soma-dask/100_2x1x1", "heart/soma-dask/500_2x1x1")
    assert "hvg.target_sum" in finding.remedy


def test_reading_again_is_held_against_one_pass() -> None:
    timings = (execution(12.0), execution(3.0, method="one-pass", chunk_reads=None))
    finding = found(timings=timings, rule="read-again")
    assert finding is not None
    assert finding.evidence[-1] == "Fastest of these, `100_2x1x1`: 12 s; fastest `one-pass`, `100_2x1x1`: 3 s."
    given = execution(12.0, hvg=HvgSettings(target_sum=1e4))
    finding = found(timings=(given,), rule="read-again")
    assert finding is not None
    assert "hvg.target_sum" not in finding.remedy


@pytest.mark.parametrize(
    ("read_bytes", "changes", "expected"),
    [
        (30 * MIB, {}, True),
        (12 * MIB, {}, False),
        (30 * MIB, {"stored_n_obs": 4000}, False),
        (30 * MIB, {"size_bytes": None}, False),
        (None, {}, False),
    ],
)
def test_bytes_tell_where_chunks_are_not_counted(read_bytes: int | None, changes: dict, expected: bool) -> None:
    whole = {"method": "in-memory", "chunk_size": None, "parallelism": None, "chunk_reads": None}
    finding = found(
        manifests=(manifest(**{"size_bytes": 10 * MIB, **changes}),),
        timings=(execution(vfs_read_bytes=read_bytes, read_bytes=99 * MIB, **whole),),
        rule="read-again",
    )
    assert (finding is not None) == expected


def test_large_graphs_and_their_growth() -> None:
    timings = (
        execution(chunk_size=10, dask_work=work(graph_bytes=54 * MIB, task_bytes=MIB), n_vars=65536, chunk_reads=20),
        execution(chunk_size=100, dask_work=work(graph_bytes=6 * MIB, task_bytes=MIB), n_vars=65536, chunk_reads=2),
    )
    finding = found(timings=timings, rule="large-graph")
    assert finding is not None
    assert finding.evidence[0] == "One of 2 runs: sent by Dask's scheduler 54 MiB."
    assert (
        "3 graphs of 54 MiB in all for 100 chunks; 20 reads of a chunk × 1 MiB, the largest task, are 20 MiB"
        in (finding.evidence[1])
    )
    assert "genes take 512 KiB" in finding.evidence[1]
    assert finding.evidence[2] == (
        "From 10 to 100 chunks (`100_2x1x1`, `10_2x1x1`) the graphs grow from 6 MiB to 54 MiB, "
        "what workers are sent from 2 MiB to 20 MiB."
    )
    assert found(timings=timings[1:], rule="large-graph") is None


def test_what_workers_are_sent_can_be_large_where_the_graph_is_not() -> None:
    timings = (execution(dask_work=work(graph_bytes=MIB, task_bytes=MIB), chunk_reads=11),)
    finding = found(timings=timings, rule="large-graph")
    assert finding is not None
    assert "11 reads of a chunk × 1 MiB, the largest task, are 11 MiB to the workers" in finding.evidence[0]


def test_threads_are_held_against_cores() -> None:
    timings = (execution(20.0, parallelism="4x4x2"), execution(8.0, parallelism="2x1x1"))
    finding = found(timings=timings, rule="threads")
    assert finding is not None
    assert "Dask 4 × 4 = 16; TileDB 4 × 2 for computing" in finding.evidence[1]
    assert "numba and BLAS 4 × 4 × 1 = 16, on 4 usable cores, 20 s" in finding.evidence[1]
    assert finding.evidence[2] == "Fastest without: `100_2x1x1`, 8 s."


def test_threads_of_libraries_count_as_the_environment_gave_them() -> None:
    timings = (execution(environment={"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "8"}),)
    finding = found(timings=timings, rule="threads")
    assert finding is not None
    assert "numba and BLAS 2 × 1 × 8 = 16" in finding.evidence[0]
    assert found(timings=(execution(environment={"NUMBA_NUM_THREADS": "2"}),), rule="threads") is None


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


def test_fewer_chunks_than_threads() -> None:
    finding = found(timings=(execution(chunk_size=1000, parallelism="1x4x1", chunk_reads=3),), rule="few-chunks")
    assert finding is not None
    assert finding.evidence == ("`1k_1x4x1`: 1 chunk for 4 Dask threads, 10 s.",)
    assert found(timings=(execution(chunk_size=250, parallelism="1x4x1"),), rule="few-chunks") is None


def test_idle_threads_by_what_tasks_computed() -> None:
    # 10 s, 2 of them the cluster's start, and two threads: 16 s to compute in.
    finding = found(timings=(execution(dask_work=work(compute_seconds=4.0)),), rule="idle")
    assert finding is not None
    assert finding.evidence == ("`100_2x1x1`: 40 tasks computed for 4 s in 8 s × 2 threads, 25 % of it.",)
    assert found(timings=(execution(dask_work=work(compute_seconds=8.1)),), rule="idle") is None


def test_starting_dask_took_longer_than_the_work() -> None:
    finding = found(timings=(execution(3.0),), rule="slow-start")
    assert finding is not None
    assert finding.evidence == ("`100_2x1x1`: 2 s of 3 s went into starting Dask.",)
    assert found(timings=(execution(4.5),), rule="slow-start") is None


def test_a_spike_between_two_samples() -> None:
    spiky = (process("driver", 900 * MIB, sampled_rss_bytes=400 * MIB), process("worker-0", 200 * MIB))
    finding = found(timings=(execution(processes=spiky),), rule="missed-spike")
    assert finding is not None
    assert finding.evidence == (
        "`100_2x1x1`: driver of timing 1 had 900 MiB (VmHWM), its largest sample 400 MiB; the run's peak PSS is 500 MiB.",
    )
    smooth = (process("driver", 900 * MIB, sampled_rss_bytes=850 * MIB),)
    assert found(timings=(execution(processes=smooth),), rule="missed-spike") is None


def test_a_slow_capture_and_differing_replicates() -> None:
    captures, timings = (captured(30.0),), (execution(10.0), execution(14.0, replicate=2))
    finding = found(captures=captures, timings=timings, rule="slow-capture")
    assert finding is not None
    assert finding.evidence == ("`100_2x1x1`: 30 s under memray, 12 s without.",)
    finding = found(captures=captures, timings=timings, rule="replicates-differ")
    assert finding is not None
    assert finding.evidence == ("`100_2x1x1`: 10 s to 14 s over 2 replicates.",)


def test_failed_executions_alone_are_no_mistake_of_the_rules() -> None:
    failed = {"wall_seconds": None, "status": "failed", "reason": "no", "processes": (), "peak_pss_bytes": None}
    bare = execution(**failed, cpu_seconds=None, read_bytes=None, chunk_reads=None)
    assert find(Records((), (), (bare,), ())) == []


def test_the_document_groups_by_rule_and_says_each_remedy_once() -> None:
    timings = (execution(), execution(dataset="lung"), execution(3.0, dataset="lung", chunk_size=500))
    records = Records((manifest(), manifest("lung")), (), timings, ())
    findings = find(records)
    text = findings_document(findings, timings)
    assert text.count("## X read more than once") == 1
    assert text.count("normalize\\_total") + text.count("`normalize_total`") == 1
    assert "- **heart, soma-dask.** `100_2x1x1`: 30 reads of 10 chunks" in text
    assert "- **lung, soma-dask.** All 2 runs: times X was read: 3 to 15." in text
    assert text.index("## X read") < text.index("## Starting Dask") < text.index("## Measured with")
    assert [finding.rule for finding in findings] == ["read-again", "read-again", "slow-start"]


def test_text_is_escaped_and_code_is_not() -> None:
    assert markdown("a_b `c_d` <e>") == r"a\_b `c_d` \<e\>"


def test_every_rule_is_named_once() -> None:
    assert len({rule.__name__ for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    ("share", "text"), [(0.47, "47 %"), (0, "0 %"), (0.000012, "0.0012 %"), (0.05, "5 %"), (1, "100 %")]
)
def test_shares(share: float, text: str) -> None:
    assert percent(share) == text


def test_usable_cores_are_those_of_the_host_it_ran_on() -> None:
    host = Host(name="b", cpu_model="", logical_cores=64, usable_cores=1, memory_bytes=GIB, kernel="")
    slow = execution(provenance=msgspec.structs.replace(PROVENANCE, host=host))
    finding = found(timings=(slow,), rule="threads")
    assert finding is not None
    assert "on 1 usable core, 10 s" in finding.evidence[0]
