"""Which part of a run's work an allocation served: an ordered table of rules over the frames of its Python stack.

Frames are tried from the innermost outward and the first that any rule knows decides, so that reading X inside an HVG call is
reading, not HVG. Libraries that serve everybody (NumPy, SciPy, pandas, the standard library) have no rules: callers decide.
Some rules are provisional: `__next__` of a SOMA reader does not know whether it reads obs or X, a caller does. Such a rule
names those rules that may take over further out; where none is met, it stands.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from somaray.allocations.places import SourceFile, locate

OBS_VAR = "obs/var read"
X_READ = "X read"
CSR = "reindexing and CSR building"
ARITHMETIC = "normalisation and HVG arithmetic"
GRAPH = "Dask graph and serialisation"
COMMUNICATION = "communication"
IMPORTS = "imports and compilation"
PYTHON = "Python objects and other Python code"
NAMELESS = "outside Python (no stack)"
UNSEEN = "freed unseen"

GROUPS = (OBS_VAR, X_READ, CSR, ARITHMETIC, GRAPH, COMMUNICATION, IMPORTS, PYTHON, NAMELESS, UNSEEN)
"""All groups, in the order they are shown.

`NAMELESS` is what threads without a Python frame asked for: the pools of TileDB, SOMA and Arrow. `UNSEEN` is the difference
between the heap's peak and what call stacks held at it, a few bytes whose free memray noticed only when their address came
again; mostly there is none, and it may be below zero.
"""

_ANY = ".*"


@dataclass(frozen=True)
class Rule:
    """One line of the table.

    Parameters
    ----------
    name
        By which other rules refer to it.
    group
        What an allocation below a matching frame served.
    package
        Distribution's name, as `locate` gives it.
    file
        Regular expression of the whole file name inside the package, `dask/array/.*`.
    function
        Regular expression of the whole function name.
    gives_way_to
        Names of rules that decide instead if a frame further out matches one of them.
    """

    name: str
    group: str
    package: str
    file: str = _ANY
    function: str = _ANY
    gives_way_to: frozenset[str] = frozenset()

    def matches(self, source: SourceFile, function: str) -> bool:
        """Whether a frame is one of those this rule knows."""
        return (
            source.package == self.package
            and re.fullmatch(self.file, source.file) is not None
            and re.fullmatch(self.function, function) is not None
        )


_IMPORT = frozenset({"import"})
_TABLES = frozenset({"soma axis", "soma frame", "anndata table", "one-pass axis"})
_TASKS = frozenset({"task", "worker task", "local task"})
_SOMA_AXIS = (
    r"_read_axis_dataframe|load_joinids|preload|_?(obs|var)(_df|_joinids|_scene_ids)?|_read_inner_ndarray|(obs|var)[mp]"
)
_ANNDATA_TABLE = r"_?read_(partial_)?(dataframe|series|categorical|nullable|string|indices).*|read_(hdf5|zarr)_string"

RULES = (
    # What runs while a module is imported belongs to the import, whatever package's code it is.
    Rule("import", IMPORTS, "cpython", r"Lib/importlib/_bootstrap(_external)?\.py"),
    Rule("numba", IMPORTS, "numba"),
    Rule("llvmlite", IMPORTS, "llvmlite"),
    # TileDB-SOMA. Reindexing and CSR building have files and functions of their own.
    Rule("soma indexer", CSR, "tiledbsoma", r"tiledbsoma/_(indexer|fastercsx)\.py"),
    Rule("soma reindex", CSR, "tiledbsoma", r"tiledbsoma/_query\.py", r"_reindex|by_obs|by_var|_(obs|var)_index"),
    Rule("soma sort", CSR, "tiledbsoma", r"tiledbsoma/_read_iters\.py", r"_(coo|cs|sorted_tbl|reindexed_table)_reader"),
    Rule("soma axis", OBS_VAR, "tiledbsoma", r"tiledbsoma/_query\.py", _SOMA_AXIS),
    Rule("soma frame", OBS_VAR, "tiledbsoma", r"tiledbsoma/_dataframe\.py"),
    Rule("soma chunk", X_READ, "tiledbsoma", r"tiledbsoma/_dask/load\.py", "sparse_chunk"),
    Rule("soma X", X_READ, "tiledbsoma", r"tiledbsoma/_query\.py", r"X|_read_as_csr|_read_and_reindex"),
    Rule("soma graph", GRAPH, "tiledbsoma", r"tiledbsoma/_dask/.*", gives_way_to=frozenset({"soma chunk"})),
    Rule("soma reader", X_READ, "tiledbsoma", r"tiledbsoma/_(read_iters|sparse_nd_array|managed_query|eager_iter)\.py",
         gives_way_to=_IMPORT | _TABLES),
    # AnnData, h5py and zarr: what is read decides.
    Rule("anndata table", OBS_VAR, "anndata", r"anndata/(_io|experimental|_core)/.*", _ANNDATA_TABLE),
    Rule("anndata chunk", X_READ, "anndata", r"anndata/_io/specs/lazy_methods\.py", "make_dask_chunk"),
    Rule("anndata reader", X_READ, "anndata", r"anndata/(_io|io|experimental)/.*|anndata/_core/sparse_dataset\.py",
         gives_way_to=_IMPORT | _TABLES),
    Rule("h5py", X_READ, "h5py", gives_way_to=_IMPORT | _TABLES),
    Rule("zarr", X_READ, "zarr", gives_way_to=_IMPORT | _TABLES),
    Rule("numcodecs", X_READ, "numcodecs", gives_way_to=_IMPORT | _TABLES),
    # Methods that read and sum by themselves.
    Rule("one-pass read", X_READ, "somaray", r"somaray/methods/onepass/reading\.py"),
    Rule("one-pass axis", OBS_VAR, "somaray", r"somaray/methods/onepass/selection\.py"),
    Rule("one-pass", ARITHMETIC, "somaray", r"somaray/methods/onepass/.*", gives_way_to=_IMPORT),
    Rule("census", ARITHMETIC, "cellxgene-census", r".*/experimental/pp/.*", gives_way_to=_IMPORT),
    # Serialisation and communication, for whoever sends.
    Rule("pickle", GRAPH, "cloudpickle", gives_way_to=_IMPORT),
    Rule("protocol", GRAPH, "distributed", r"distributed/protocol/.*", gives_way_to=_IMPORT),
    Rule("comm", COMMUNICATION, "distributed", r"distributed/(comm/.*|batched\.py)", gives_way_to=_IMPORT),
    Rule("stream", COMMUNICATION, "tornado", r"tornado/(iostream|tcpserver|tcpclient|netutil)\.py", gives_way_to=_IMPORT),
    # A task's own work, where nothing above has claimed it: sums, products, maps over blocks.
    Rule("arrays", ARITHMETIC, "fast-array-utils", gives_way_to=_IMPORT),
    Rule("scanpy", ARITHMETIC, "scanpy", gives_way_to=_IMPORT),
    Rule("task", ARITHMETIC, "dask", r"dask/_task_spec\.py", r"__call__|_?execute_.*"),
    Rule("worker task", ARITHMETIC, "distributed", r"distributed/worker\.py", r"_run_task.*|apply_function.*"),
    Rule("local task", ARITHMETIC, "dask", r"dask/local\.py", r"execute_task|batch_execute_tasks"),
    # Dask watching itself, and the loops that run everything in a process and so decide nothing.
    Rule("dask monitor", PYTHON, "distributed", r"distributed/(system_monitor|profile|metrics)\.py", gives_way_to=_IMPORT),
    Rule("dask profile", PYTHON, "distributed", r"distributed/worker\.py", r"(trigger|cycle)_profile"),
    Rule("dask loop", PYTHON, "distributed", r"distributed/(utils|nanny|process|threadpoolexecutor)\.py",
         gives_way_to=_IMPORT),
    Rule("dask", GRAPH, "dask", gives_way_to=_IMPORT | _TASKS),
    Rule("distributed", GRAPH, "distributed", gives_way_to=_IMPORT | _TASKS),
)  # fmt: skip
"""The first rule that knows a frame is that frame's; the order matters where a general one follows special ones."""


class Grouping:
    """Groups of call stacks; a frame's rule is looked up once."""

    def __init__(self, rules: Iterable[Rule] = RULES) -> None:
        self._rules = tuple(rules)
        self._known: dict[tuple[str, str], Rule | None] = {}

    def group(self, stack: Iterable[tuple[str, str, int]]) -> str:
        """The group of a stack of (function, file, line), innermost first."""
        provisional: Rule | None = None
        nameless = True
        for function, file, _ in stack:
            nameless = False
            try:
                rule = self._known[function, file]
            except KeyError:
                rule = self._known[function, file] = self._rule(function, file)
            if rule is None or (provisional is not None and rule.name not in provisional.gives_way_to):
                continue
            if not rule.gives_way_to:
                return rule.group
            provisional = rule
        if provisional is not None:
            return provisional.group
        return NAMELESS if nameless else PYTHON

    def _rule(self, function: str, file: str) -> Rule | None:
        source = locate(file)
        return next((rule for rule in self._rules if rule.matches(source, function)), None)
