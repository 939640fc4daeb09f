"""For one chunk size `one-pass` gives the same bytes whatever runs it; across chunk sizes the same genes."""

import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from somaray.cluster import open_client
from somaray.matrix import Run
from somaray.methods.one_pass import compute_hvg
from somaray.methods.onepass import ordered, tasks
from somaray.settings import DaskSettings, HvgSettings
from somaray.units import Parallelism
from support.small_store import no_phase, random_counts, write_store

SETTINGS = [
    HvgSettings(),
    HvgSettings(flavor="cell_ranger", n_top_genes=40),
    HvgSettings(flavor="seurat", batch_key="batch"),
    HvgSettings(flavor="seurat_v3", n_top_genes=40, span=0.5),
    HvgSettings(flavor="seurat_v3_paper", n_top_genes=40, span=0.7, batch_key="batch"),
]
IDS = [f"{hvg.flavor}{'-batched' if hvg.batch_key else ''}" for hvg in SETTINGS]
CHUNK_SIZE = 37


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    counts = random_counts(11, 500, 300, 0.6, 60)
    batches = np.random.default_rng(0).choice(["a", "b"], 500)
    return write_store(tmp_path_factory.mktemp("store") / "x", counts, {"batch": batches, "n": np.arange(500)}, tile=32)


def table(source, hvg, client=None, chunk_size=CHUNK_SIZE, threads=1):
    return compute_hvg(source, Run("d", "one-pass", chunk_size, Parallelism(0, threads, 1)), hvg, client, no_phase)


def assert_same_bytes(one, other):
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    for name in one.select_dtypes(["floating", "bool", "integer"]):
        assert one[name].to_numpy().tobytes() == other[name].to_numpy().tobytes(), name


@pytest.fixture(scope="module")
def expected(source):
    """One thread, one after the other."""
    return [table(source, hvg) for hvg in SETTINGS]


@pytest.mark.parametrize("which", range(len(SETTINGS)), ids=IDS)
def test_threads_buffers_and_order_of_arrival(source, expected, which, monkeypatch):
    def dawdling(task, *shared):
        time.sleep(0.02 * (task.cells.first % 3))
        return tasks.add_up(task, *shared)

    monkeypatch.setattr("somaray.methods.onepass.passes.add_up", dawdling)
    for threads, tile_threads, buffer_bytes in [(1, 4, 2**24), (4, 1, 2**24), (3, 2, 4096)]:
        tiledb = {"sm.compute_concurrency_level": str(tile_threads), "sm.io_concurrency_level": str(tile_threads)}
        changed = replace(source, tiledb={**tiledb, "soma.init_buffer_bytes": str(buffer_bytes)})
        assert_same_bytes(table(changed, SETTINGS[which], threads=threads), expected[which])


@pytest.mark.parametrize("parallelism", [Parallelism(2, 1, 1), Parallelism(1, 3, 1), Parallelism(0, 2, 1)], ids=str)
def test_workers(source, expected, parallelism, tmp_path):
    with open_client(parallelism, DaskSettings(), tmp_path) as client:
        for hvg, wanted in zip(SETTINGS, expected, strict=True):
            assert_same_bytes(table(source, hvg, client), wanted)


@pytest.mark.parametrize("which", [0, 4], ids=[IDS[0], IDS[4]])
def test_a_worker_killed_half_way_costs_its_tasks_only(source, expected, which, tmp_path, monkeypatch):
    killed = threading.Event()
    with open_client(Parallelism(2, 1, 1), DaskSettings(), tmp_path) as client:
        (pid, *_) = client.run(os.getpid).values()
        original = ordered._window

        def killing(*arguments):
            for count, result in enumerate(original(*arguments)):
                if count == 3 and not killed.is_set():
                    os.kill(pid, signal.SIGKILL)
                    killed.set()
                yield result

        monkeypatch.setattr(ordered, "_window", killing)
        found = table(source, SETTINGS[which], client)
    assert killed.is_set()
    assert_same_bytes(found, expected[which])


@pytest.mark.parametrize("which", range(len(SETTINGS)), ids=IDS)
def test_chunk_sizes(source, expected, which):
    for chunk_size in (1, 5, 64, 499, 500, 10_000, None):
        found = table(source, SETTINGS[which], chunk_size=chunk_size, threads=2)
        wanted = expected[which]
        np.testing.assert_array_equal(found["highly_variable"], wanted["highly_variable"])
        for name in wanted.select_dtypes("floating"):
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("which", range(len(SETTINGS)), ids=IDS)
def test_order_of_filtered_cells_in_tasks(source, which):
    holes = replace(source, obs_filter="n < 100 or n == 205 or n > 333")
    wanted = table(holes, SETTINGS[which])
    assert_same_bytes(table(holes, SETTINGS[which], threads=4), wanted)


def test_a_task_stays_small(source):
    """What travels to a task does not grow with its rows or with the genes, and comes back by gene and by cell."""
    import pickle

    from somaray.methods.onepass.compressed import JoinIds, Labels
    from somaray.methods.onepass.selection import select

    selection = select(source, HvgSettings())
    cells = JoinIds.from_array(np.arange(0, 1_000_000))
    task = tasks.Task(selection.layer, cells, Labels.from_array(np.zeros(1_000_000, dtype=np.int32)), "shares")
    assert len(pickle.dumps(task)) < 4_000


def test_nothing_but_bands_is_held(source, monkeypatch):
    """However many rows a task has, no read spans more of them than a strip."""
    from somaray.methods.onepass import reading

    spans = []
    original = tasks.read_strip

    def noted(array, layer, ids, strip, with_genes):
        spans.append(strip.last - strip.first + 1)
        return original(array, layer, ids, strip, with_genes)

    monkeypatch.setattr(tasks, "read_strip", noted)
    monkeypatch.setattr(reading, "TARGET_STRIP_NONZEROS", 3_000)
    table(source, HvgSettings(), chunk_size=500)
    assert max(spans) <= 32
    assert len(spans) >= 15
