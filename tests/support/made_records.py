"""Records with chosen figures, for tests of what is made from them."""

from typing import Any

from somaray.records import (
    Agreement,
    AgreementCheck,
    Allocations,
    Execution,
    Host,
    Manifest,
    Phase,
    ProcessAllocations,
    ProcessRecord,
    Provenance,
)
from somaray.settings import DaskSettings, HvgSettings, Limits, ProfileSettings

MIB = 2**20

PROVENANCE = Provenance(
    host=Host(
        name="bench", cpu_model="Some CPU", logical_cores=8, usable_cores=4, memory_bytes=16 * 2**30, kernel="Linux 6"
    ),
    python="3.12.1",
    versions={"scanpy": "1.12.4", "tiledbsoma": "2.3.0"},
    made_at="2026-01-02T03:04:05+00:00",
)


def manifest(name: str = "heart", **changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "name": name,
        "kind": "synthetic",
        "uri": "results/datasets/heart/soma",
        "measurement": "RNA",
        "layer": "raw",
        "obs_filter": None,
        "var_filter": None,
        "obs_id": "obs_id",
        "var_id": "feature_id",
        "n_obs": 1000,
        "n_vars": 50,
        "nnz": 12345,
        "stored_n_obs": 1000,
        "stored_n_vars": 50,
        "size_bytes": 1 * MIB,
        "obs_columns": ("soma_joinid",),
        "layout": "census",
        "made_by": "test",
        "seconds": 1.0,
        "fingerprint": "f",
        "tiledb": {},
        "provenance": PROVENANCE,
    }
    return Manifest(**{**fields, **changes})


def process(name: str, peak_rss_bytes: int, **changes: Any) -> ProcessRecord:
    fields: dict[str, Any] = {
        "name": name,
        "role": name.partition("-")[0],
        "pid": 1,
        "host": "bench",
        "peak_rss_bytes": peak_rss_bytes,
        "peak_pss_bytes": peak_rss_bytes - MIB,
        "cpu_seconds": 1.0,
        "read_bytes": 10,
        "disk_read_bytes": 0,
    }
    return ProcessRecord(**{**fields, **changes})


def execution(wall_seconds: float | None = 10.0, replicate: int | None = 1, **changes: Any) -> Execution:
    phases = ()
    if wall_seconds is not None:
        phases = (
            Phase(name="cluster", start_seconds=0.0, end_seconds=2.0),
            Phase(name="hvg", start_seconds=2.0, end_seconds=wall_seconds),
        )
    fields: dict[str, Any] = {
        "dataset": "heart",
        "method": "soma-dask",
        "chunk_size": 100,
        "parallelism": "2x1x1",
        "replicate": replicate,
        "attempt": 1,
        "status": "ok",
        "reason": "",
        "n_obs": 1000,
        "n_vars": 50,
        "wall_seconds": wall_seconds,
        "cpu_seconds": 8.0,
        "phases": phases,
        "peak_pss_bytes": 500 * MIB,
        "peak_pss_seconds": 5.0,
        "read_bytes": 100,
        "disk_read_bytes": 0,
        "processes": (process("driver", 300 * MIB), process("worker-0", 200 * MIB), process("worker-1", 220 * MIB)),
        "chunk_reads": 30,
        "limits": Limits(memory_bytes=12 * 2**30),
        "hvg": HvgSettings(),
        "tiledb": {},
        "dask": DaskSettings(),
        "profile": None,
        "environment": {},
        "provenance": PROVENANCE,
    }
    return Execution(**{**fields, **changes})


def allocations(**changes: Any) -> Allocations:
    driver = ProcessAllocations(
        name="driver",
        role="driver",
        pid=1,
        capture="driver.bin",
        capture_status="complete",
        total_bytes=50 * 2**30,
        n_allocations=1000,
        heap_peak_bytes=24 * 2**30,
        heap_peak_seconds=1.0,
        rss_at_heap_peak_bytes=300 * MIB,
        places=(),
    )
    fields: dict[str, Any] = {
        "dataset": "heart",
        "method": "soma-dask",
        "chunk_size": 100,
        "parallelism": "2x1x1",
        "n_obs": 1000,
        "status": "ok",
        "profile": ProfileSettings(),
        "versions": PROVENANCE.versions,
        "processes": (driver,),
    }
    return Allocations(**{**fields, **changes})


def check(name: str = "capture", agrees: bool | None = True, **changes: Any) -> AgreementCheck:
    fields: dict[str, Any] = {
        "execution": name,
        "agrees": agrees,
        "note": "" if agrees else "2 genes missing, 1 too many",
        "genes_selected": 20,
        "genes_reference": 20,
        "genes_in_common": 20 if agrees else 18,
        "largest_difference": 1e-9,
    }
    return AgreementCheck(**{**fields, **changes})


def agreement(*checks: AgreementCheck, **changes: Any) -> Agreement:
    fields: dict[str, Any] = {
        "dataset": "heart",
        "method": "soma-dask",
        "chunk_size": 100,
        "parallelism": "2x1x1",
        "reference": "in-memory",
        "checks": checks or (check(),),
    }
    return Agreement(**{**fields, **changes})
