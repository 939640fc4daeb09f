"""Orders for the supervisor to run a method that only tests have."""

import os
from pathlib import Path

from somaray.measure.job import Job
from somaray.measure.supervise import Order, supervise
from somaray.provenance import provenance
from somaray.records import Execution, Manifest, write_record
from somaray.settings import DaskSettings, HvgSettings, Limits, ProfileSettings

TESTS = Path(__file__).resolve().parents[1]
SCRIPTS = TESTS.parent / "scripts"


def order_for(
    folder: Path, module: str, behaviour: str | None, parallelism: str | None = None, profiled: bool = False, **limits
) -> Order:
    """Make an order for one behaviour of a test's module, its files in `folder`."""
    manifest = Manifest(
        name="none",
        kind="soma",
        uri="nowhere",
        measurement="RNA",
        layer="raw",
        obs_filter=None,
        var_filter=None,
        obs_id="obs_id",
        var_id="var_id",
        n_obs=1000,
        n_vars=2,
        nnz=0,
        stored_n_obs=1000,
        stored_n_vars=2,
        size_bytes=0,
        obs_columns=(),
        layout="census",
        made_by="the test",
        seconds=0.0,
        fingerprint="",
        tiledb={},
        provenance=provenance(),
    )
    write_record(folder / "manifest.json", manifest)
    job = Job(
        dataset="none",
        method="test",
        module=module,
        chunk_size=None if parallelism is None else 100,
        parallelism=parallelism,
        manifest=str(folder / "manifest.json"),
        hvg=HvgSettings(batch_key=behaviour),
        tiledb={},
        dask=DaskSettings(),
        profile=ProfileSettings() if profiled else None,
        work_dir="",
        capture_dir=str(folder / "capture") if profiled else None,
        hvg_path=str(folder / "hvg.parquet"),
    )
    return Order(
        job=job,
        limits=Limits(**limits),
        replicate=None if profiled else 1,
        attempt=1,
        memory_path=folder / "memory.parquet",
        tasks_path=folder / "tasks.parquet",
        title=behaviour or "nothing",
        environment={"PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(TESTS)]), "SOMARAY_TEST_DIR": str(folder)},
    )


def run(order: Order) -> Execution:
    """Run an order, its log beside its other files."""
    with (order.memory_path.parent / "log").open("w") as log:
        return supervise(order, log)
