"""What a run's cluster listens on, and with how many threads its libraries run."""

import os
from pathlib import Path

import pytest

from somaray.cluster import open_client
from somaray.settings import DaskSettings
from somaray.units import Parallelism


def listening() -> set[tuple[str, str]]:
    """Address and port, in hexadecimal, of every listening socket (proc(5), /proc/net/tcp: state 0A)."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                sockets.add(tuple(fields[1].split(":")))
    return sockets


@pytest.mark.parametrize("dashboard", [False, True])
@pytest.mark.parametrize("parallelism", [Parallelism(0, 2, 1), Parallelism(1, 1, 1)], ids=str)
def test_nothing_listens_beyond_loopback(parallelism, dashboard, tmp_path) -> None:
    before = listening()
    with open_client(parallelism, DaskSettings(dashboard=dashboard), tmp_path) as client:
        client.submit(int, 1).result()
        opened = listening() - before
    assert {address for address, _ in opened} <= {"0100007F"}


def test_library_threads_are_pinned_in_workers(tmp_path) -> None:
    def threads() -> dict[str, str | None]:
        return {
            name: os.environ.get(name)
            for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "NUMBA_NUM_THREADS")
        }

    with open_client(Parallelism(1, 1, 1), DaskSettings(library_threads=2), tmp_path) as client:
        assert set(client.submit(threads).result().values()) == {"2"}


def test_memory_management_is_off_unless_asked_for(tmp_path) -> None:
    import dask

    with open_client(Parallelism(0, 1, 1), DaskSettings(config={"distributed.comm.retry.count": 7}), tmp_path):
        assert dask.config.get("distributed.worker.memory.terminate") is False
        assert dask.config.get("distributed.comm.retry.count") == 7
    with open_client(Parallelism(0, 1, 1), DaskSettings(memory_management=True), tmp_path):
        assert dask.config.get("distributed.worker.memory.terminate")
