"""Rules about work: graphs, threads, chunks, idle time."""

import msgspec

from somaray.records import Host
from support.found import GIB, found, work
from support.made_records import MIB, PROVENANCE, execution


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


def test_usable_cores_are_those_of_the_host_it_ran_on() -> None:
    host = Host(name="b", cpu_model="", logical_cores=64, usable_cores=1, memory_bytes=GIB, kernel="")
    slow = execution(provenance=msgspec.structs.replace(PROVENANCE, host=host))
    finding = found(timings=(slow,), rule="threads")
    assert finding is not None
    assert "on 1 usable core, 10 s" in finding.evidence[0]
