"""Methods for tests: each does one thing whose effect on the measurement is known. Chosen by `hvg.batch_key`."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd

MIB = 2**20
DRIVER_BYTES = 96 * MIB
WORKER_BYTES = 160 * MIB
UNTOUCHED_BYTES = 300 * MIB


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {"dispersions_norm": [1.0, 2.0], "highly_variable": [False, True]}, index=pd.Index(["a", "b"], name="g")
    )


def hold(n_bytes: int, seconds: float) -> int:
    with open("/proc/self/status") as status:
        before_kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    with open(os.path.join(os.environ["SOMARAY_TEST_DIR"], f"before-{os.getpid()}"), "w") as stream:
        stream.write(str(before_kib * 1024))
    block = bytearray(n_bytes)  # The line a known-answer test looks for: bytearray zeroes, so every page is touched.
    time.sleep(seconds)
    return len(block)


def allocate(client) -> None:
    untouched = np.empty(UNTOUCHED_BYTES, dtype=np.uint8)
    futures = [] if client is None else client.map(hold, [WORKER_BYTES] * 2, [1.5] * 2, pure=False)
    hold(DRIVER_BYTES, 1.5)
    for future in futures:
        future.result()
    del untouched


def kill_worker(client) -> None:
    def die_once(marker: str) -> str:
        if not os.path.exists(marker):
            open(marker, "w").close()
            time.sleep(0.6)
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    marker = os.path.join(os.environ["SOMARAY_TEST_DIR"], "died")
    assert client.submit(die_once, marker).result() == "done"


def die_always(client) -> None:
    client.submit(lambda: os.kill(os.getpid(), signal.SIGKILL)).result()


def leave_children(client) -> None:
    # A child that its parent does not wait for, one that ignores SIGTERM, and one whose parent is gone.
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code])
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {code!r}])"
    subprocess.run([sys.executable, "-c", orphan], check=True)


def grow(client) -> None:
    blocks = []
    for _ in range(100):
        blocks.append(bytearray(32 * MIB))
        time.sleep(0.1)


def use_cpu(client) -> None:
    end = time.process_time() + 1.0
    while time.process_time() < end:
        pass


def read_file(client) -> None:
    with open(os.path.join(os.environ["SOMARAY_TEST_DIR"], "known"), "rb", buffering=0) as stream:
        while stream.read(MIB):
            pass


def started_with(names: list[str]) -> list[dict[str, str | None]]:
    """Variables as this process has them now, and as it was started with, before any library was loaded (proc(5))."""
    with open("/proc/self/environ", "rb") as stream:
        start = dict(pair.split("=", 1) for pair in stream.read().decode().split("\0") if "=" in pair)
    return [{name: source.get(name) for name in names} for source in (os.environ, start)]


def tell_environment(client) -> None:
    names = ["ARROW_DEFAULT_MEMORY_POOL", "MALLOC_TRIM_THRESHOLD_", "PLAIN"]
    told = {"driver": started_with(names), "worker": client.submit(started_with, names).result()}
    with open(os.path.join(os.environ["SOMARAY_TEST_DIR"], "environment.json"), "w") as stream:
        json.dump(told, stream)


def keep_busy(client) -> None:
    # Workers that come later have their share.
    assert client.gather(client.map(hold, [WORKER_BYTES] * 30, [0.5] * 30, pure=False)) == [WORKER_BYTES] * 30


def raise_error(client) -> None:
    raise ValueError("a\nreason of\ntwo lines")


def sleep(client) -> None:
    time.sleep(600)


def compute_hvg(source, run, hvg, client, phase) -> pd.DataFrame:
    with phase("open"):
        pass
    with phase("hvg"):
        if hvg.batch_key is not None:
            globals()[hvg.batch_key](client)
        return table()
