"""Workers that really spill and really pause are told of, in bytes and in times."""

import numpy as np
import pytest
from dask import delayed
from distributed import Status

from somaray.cluster import open_client
from somaray.measure.clock import Clock, EventReader
from somaray.measure.dask_watch import DASK_EVENT, dask_watched
from somaray.settings import DaskSettings
from somaray.units import Parallelism

N_BLOCKS, BLOCK_BYTES = 6, 1_000_000


def test_what_workers_spilled_and_that_they_paused(tmp_path) -> None:
    # A block alone is more than the target, of however many GiB the worker may have; nothing else shall interfere.
    config = {f"distributed.worker.memory.{step}": False for step in ("spill", "pause", "terminate")}
    config["distributed.worker.memory.target"] = 1e-7
    settings = DaskSettings(memory_management=True, config=config)
    events = tmp_path / "events"
    with open_client(Parallelism(1, 1, 1), settings, tmp_path) as client, dask_watched(client, Clock(events)):
        block = delayed(lambda seed: np.random.default_rng(seed).integers(0, 255, BLOCK_BYTES, dtype=np.uint8))
        held = client.compute([block(seed) for seed in range(N_BLOCKS)])
        client.gather(held)
        for status in (Status.paused, Status.running):
            client.run(lambda dask_worker, status=status: setattr(dask_worker, "status", status))
        client.submit(int, 1).result()
    (seen,) = [event for event in EventReader(events).new() if event["event"] == DASK_EVENT]
    assert seen["spilled_bytes"] == pytest.approx(N_BLOCKS * BLOCK_BYTES, rel=0.01)
    assert seen["n_pauses"] == 1
    assert seen["paused_seconds"] > 0
