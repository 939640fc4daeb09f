"""Every rule of the table of groups by a stack that it decides, and what the order of rules and frames must hold."""

import re

import pytest

from somaray.allocations.charges import Charger
from somaray.allocations.groups import (
    ARITHMETIC,
    COMMUNICATION,
    CSR,
    GRAPH,
    GROUPS,
    IMPORTS,
    NAMELESS,
    OBS_VAR,
    PYTHON,
    RULES,
    X_READ,
    Grouping,
)

SITE = "/env/lib/python3.12/site-packages/"
LIB = "/usr/lib/python3.12/"
SOMA_NEXT = "tiledbsoma/_read_iters.py:__next__"
TASK = "dask/_task_spec.py:__call__"
WORKER = "distributed/worker.py:_run_task_simple"
IMPORT = "Lib/importlib/_bootstrap.py:_call_with_frames_removed"


def stack(*frames: str) -> list[tuple[str, str, int]]:
    """`package/file.py:function`, innermost first, as memray tells it."""
    found = []
    for line, frame in enumerate(frames, 1):
        file, _, function = frame.rpartition(":")
        path = LIB + file.removeprefix("Lib/") if file.startswith("Lib/") else SITE + file
        found.append((function, path.replace(SITE + "somaray/", "/repo/scripts/somaray/"), line))
    return found


@pytest.mark.parametrize(
    ("group", "frames"),
    [
        (OBS_VAR, [SOMA_NEXT, "tiledbsoma/_read_iters.py:concat", "tiledbsoma/_query.py:_read_axis_dataframe"]),
        (OBS_VAR, ["pandas/core/frame.py:f", "tiledbsoma/_query.py:_read_axis_dataframe"]),
        (OBS_VAR, [SOMA_NEXT, "tiledbsoma/_query.py:load_joinids", "somaray/methods/onepass/selection.py:select"]),
        (OBS_VAR, ["numpy/a.py:f", "tiledbsoma/_dataframe.py:read"]),
        (OBS_VAR, ["h5py/_hl/dataset.py:__getitem__", "anndata/_io/specs/methods.py:read_array",
                   "anndata/_io/specs/methods.py:read_series", "anndata/_io/specs/methods.py:read_dataframe"]),
        (OBS_VAR, ["zarr/core/array.py:_get", "anndata/_io/specs/methods.py:read_categorical"]),
        (X_READ, [SOMA_NEXT, "tiledbsoma/_dask/load.py:sparse_chunk", TASK, WORKER]),
        (X_READ, [SOMA_NEXT, "tiledbsoma/_query.py:<genexpr>", "tiledbsoma/_query.py:_read_and_reindex"]),
        # Read ahead by a thread that no caller is on.
        (X_READ, [SOMA_NEXT, "tiledbsoma/_eager_iter.py:__next__", "Lib/threading.py:run"]),
        (X_READ, ["tiledbsoma/_managed_query.py:set_coord", "scanpy/preprocessing/_simple.py:log1p"]),
        (X_READ, [SOMA_NEXT, "somaray/methods/onepass/reading.py:read_strip", "somaray/methods/onepass/tasks.py:add_up",
                  TASK, WORKER]),
        (X_READ, ["h5py/_hl/dataset.py:__getitem__", "anndata/_core/sparse_dataset.py:__getitem__",
                  "anndata/_io/specs/lazy_methods.py:make_dask_chunk", TASK, WORKER]),
        # zarr reads in a thread of its own.
        (X_READ, ["numcodecs/blosc.py:decode", "zarr/core/codec_pipeline.py:read", "Lib/asyncio/events.py:_run"]),
        # A task makes its context with the code that makes graphs.
        (X_READ, ["tiledbsoma/_dask/util.py:make_context", "tiledbsoma/_dask/load.py:sparse_chunk", TASK, WORKER]),
        (CSR, ["tiledbsoma/_indexer.py:get_indexer", "tiledbsoma/_dask/load.py:sparse_chunk", TASK, WORKER]),
        (CSR, ["scipy/sparse/_csr.py:__init__", "tiledbsoma/_fastercsx.py:to_scipy", "tiledbsoma/_dask/load.py:sparse_chunk"]),
        (CSR, ["numpy/a.py:f", "tiledbsoma/_query.py:_reindex", "tiledbsoma/_query.py:_read_and_reindex"]),
        (ARITHMETIC, ["scipy/sparse/_data.py:copy", "scanpy/preprocessing/_simple.py:log1p"]),
        (ARITHMETIC, ["scipy/sparse/_compressed.py:_with_data", TASK, WORKER]),
        (ARITHMETIC, ["numpy/a.py:sum", "dask/array/chunk.py:sum", TASK, WORKER]),
        (ARITHMETIC, ["fast_array_utils/stats/_power.py:power", TASK, WORKER]),
        (ARITHMETIC, ["numpy/a.py:zeros", "somaray/methods/onepass/tasks.py:_zeros", TASK]),
        (ARITHMETIC, ["numpy/a.py:f", "cellxgene_census/experimental/pp/_online.py:update", "Lib/threading.py:run"]),
        (GRAPH, ["cloudpickle/cloudpickle.py:dumps", "distributed/protocol/pickle.py:dumps",
                 "distributed/comm/tcp.py:write"]),
        (GRAPH, ["dask/array/core.py:map_blocks", "scanpy/preprocessing/_simple.py:log1p"]),
        (GRAPH, ["msgpack/__init__.py:packb", "distributed/protocol/core.py:dumps", "distributed/comm/tcp.py:write"]),
        (GRAPH, ["numpy/a.py:f", "tiledbsoma/_dask/load.py:load_daskarray"]),
        (GRAPH, ["distributed/scheduler.py:update_graph", "distributed/utils.py:run_loop"]),
        (COMMUNICATION, ["tornado/iostream.py:_read_to_buffer", "Lib/asyncio/events.py:_run", "distributed/utils.py:run_loop"]),
        (COMMUNICATION, ["distributed/comm/tcp.py:read", "distributed/core.py:handle_stream"]),
        (IMPORTS, ["Lib/textwrap.py:dedent", "dask/array/fft.py:<module>", IMPORT, "anndata/__init__.py:<module>", IMPORT]),
        # Work of Dask's own modules while they are imported, however deep inside a task.
        (IMPORTS, ["Lib/re/__init__.py:match", "dask/utils.py:_derived_from", "dask/array/ufunc.py:<module>", IMPORT,
                   "distributed/protocol/pickle.py:loads", WORKER]),
        (IMPORTS, ["llvmlite/binding/ffi.py:__call__", "numba/core/codegen.py:finalize", "scanpy/a.py:f"]),
        (PYTHON, ["Lib/json/decoder.py:decode", "/home/me/script.py:<module>"]),
        (PYTHON, ["psutil/_pslinux.py:num_fds", "distributed/system_monitor.py:update", "distributed/utils.py:run_loop"]),
        (PYTHON, ["Lib/asyncio/events.py:_run", "distributed/nanny.py:_run"]),
        (NAMELESS, []),
    ],
)  # fmt: skip
def test_a_stack_has_the_group_of_its_innermost_frame_that_decides(group: str, frames: list[str]) -> None:
    assert Grouping().group(stack(*frames)) == group


def test_rules_name_each_other_and_the_groups_there_are() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule.group in GROUPS
        assert rule.gives_way_to <= set(names), rule.name
        re.compile(rule.file)
        re.compile(rule.function)


def test_a_charge_names_leaf_and_layer() -> None:
    charger = Charger()
    charge = charger.charge(stack("scipy/sparse/_csr.py:__init__", "tiledbsoma/_fastercsx.py:to_scipy", TASK))
    assert charge.leaf is not None
    assert charge.blame is not None
    assert (charge.leaf.function, charge.leaf.line) == ("__init__", 1)
    assert (charge.blame.function, charge.blame.line) == ("to_scipy", 2)
    nobody = charger.charge(stack("numpy/a.py:f", "Lib/threading.py:run"))
    assert nobody.blame == nobody.leaf
    assert charger.charge([]) == charger.charge([])
    assert charger.charge([]).leaf is None
