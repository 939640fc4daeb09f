"""What of a run its memory and time depend on: the model's terms, by method. Pure.

Memory of a run is taken for a sum of terms, each a quantity counted here times a constant in bytes. No constant is negative,
and no quantity falls when cells a chunk, Dask threads, TileDB threads or processes grow, all else equal: so predicted memory
does not either. (One does, from no worker process to one: what a driver keeps of its threads' memory. There the larger of both
predictions is taken, see `somaray.plan.constants.figure_of`.) What else would fall, Dask's graph, whose tasks each carry all
joinids of genes, is left out; with thousands of small chunks it is not small. Nor does the model know `hvg.batch_key`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import exp
from statistics import NormalDist

from somaray.matrix import Run
from somaray.plan.size import Size
from somaray.registry import METHODS
from somaray.settings import HvgSettings, RunSettings
from somaray.units import parse_bytes

PEAK, WORKER, SECONDS = FIGURES = ("peak_pss_bytes", "largest_worker_bytes", "seconds")

STUDY_CELLS = 40_000
LEAST_STUDIES = 4
STUDY_LOG_SD = 0.36
"""Cells come study by study, and studies differ in their mean non-zeros a cell: numbers of Census, and of synthetic data (see
`somaray.datasets.count_model`). The chunks under way at one time may be those of the densest."""

BUFFER_KEY = "soma.init_buffer_bytes"
DEFAULT_BUFFER_BYTES = 2**30
"""TileDB-SOMA's own default of `BUFFER_KEY`, a column and reader."""

VALUE_BYTES = 20
COLUMNS = 3
"""Of a non-zero as read: two coordinates of 8 bytes and a value of 4, in a buffer each."""

STRIP_NONZEROS = 4_000_000
"""What a thread of `one-pass` keeps at most where it must, see `somaray.methods.onepass.reading.TARGET_STRIP_NONZEROS`."""

TASKS_AHEAD = 3
"""Tasks of `one-pass` under way a thread, each with its table of sums, see `somaray.methods.onepass.ordered`."""


@dataclass(frozen=True)
class Work:
    """A run as the model sees it.

    Parameters
    ----------
    processes
        Worker processes; 0 where all happens in the driver.
    threads, tile_threads
        Dask's and TileDB's, a process.
    chunk_rows
        Cells a task; all of them for a method without chunks.
    obs_columns
        How many are read into an AnnData.
    passes
        How often X is read.
    copies
        How many times what it takes to normalise a chunk is held of it.
    keeps
        Whether `one-pass` must keep what it read of a strip until it knows the cells' totals.
    buffer_bytes
        Of TileDB-SOMA, a column.
    cores
        Of the host.
    """

    method: str
    size: Size
    processes: int
    threads: int
    tile_threads: int
    chunk_rows: int
    obs_columns: int
    passes: int
    copies: int
    keeps: bool
    buffer_bytes: int
    cores: int

    @property
    def reads_over_the_net(self) -> bool:
        """Whether seconds depend on a connection that no constant knows; exported files are local."""
        return self.size.remote and METHODS[self.method].export is None

    @property
    def busy(self) -> int:
        """Dask threads that have a core to themselves."""
        return min(self.all_threads, self.cores)

    @property
    def all_threads(self) -> int:
        """Dask threads of all processes."""
        return max(self.processes, 1) * self.threads

    def nonzeros(self, threads: int) -> float:
        """Non-zeros of the chunks that so many threads work on, where cells are densest; never more than there are."""
        n_obs = self.size.n_obs
        studies = max(LEAST_STUDIES, round(n_obs / STUDY_CELLS))
        densest = exp(STUDY_LOG_SD * NormalDist().inv_cdf(1 - 0.5 / studies))
        rows = threads * self.chunk_rows
        rows_as_of_mean = rows + (densest - 1) * min(rows, n_obs / studies)
        return self.size.nnz_per_obs * min(rows_as_of_mean, n_obs)

    def copied(self, threads: int) -> float:
        """Non-zeros of the chunks that so many threads work on, as often as Scanpy holds them."""
        return self.nonzeros(threads) * self.copies

    def buffered_bytes(self, threads: int) -> float:
        """Bytes of TileDB-SOMA's buffers that so many threads fill, of those that they ask for."""
        a_thread = min(COLUMNS * self.buffer_bytes, VALUE_BYTES * self.nonzeros(1))
        return min(threads * a_thread, VALUE_BYTES * self.size.nnz)

    def kept(self, threads: int) -> float:
        """Non-zeros of strips that so many threads of `one-pass` keep."""
        return min(threads * min(self.nonzeros(1), STRIP_NONZEROS), self.size.nnz) if self.keeps else 0


def work_of(run: Run, size: Size, hvg: HvgSettings, settings: RunSettings | None = None, cores: int = 1) -> Work:
    """See a run as the model does.

    Parameters
    ----------
    settings
        The run's own; by default none.
    """
    method, layout, settings = METHODS[run.method], run.parallelism, settings or RunSettings()
    all_columns = settings.obs_columns is None or "obs_columns" in method.unaffected_by
    return Work(
        method=run.method,
        size=size,
        processes=0 if layout is None else layout.processes,
        threads=1 if layout is None else layout.threads,
        tile_threads=1 if layout is None else layout.tile_threads,
        chunk_rows=min(run.chunk_size or size.n_obs, size.n_obs),
        obs_columns=size.n_obs_columns if all_columns else len(settings.obs_columns or ()) + 1,
        passes=_passes(run.method, hvg),
        # Means and means of squares come from one chunk, which is held in both precisions until both are there.
        copies=2 if hvg.flavor.startswith("seurat_v3") else 1,
        keeps=not (size.claims_totals or hvg.flavor.startswith("seurat_v3")),
        buffer_bytes=parse_bytes(settings.tiledb.get(BUFFER_KEY, DEFAULT_BUFFER_BYTES)),
        cores=cores,
    )


def _passes(method: str, hvg: HvgSettings) -> int:
    if method == "in-memory":
        return 1
    if hvg.flavor.startswith("seurat_v3"):
        # Scanpy checks a lazy matrix for whole numbers, and reads it for each of its sums.
        return 2 if method in ("one-pass", "census") else 5
    # The median of all cells' totals comes before what is divided by it.
    both = hvg.target_sum is None and (method != "one-pass" or hvg.flavor == "cell_ranger")
    return 2 if both else 1


@dataclass(frozen=True)
class Term:
    """A quantity of a run, and what a unit of it is expected to cost (bytes, or seconds) before any run was seen.

    Expectations are round numbers: of processes after their imports, of copies that the libraries' sources make, of a core of
    some years' age. Where runs are few they keep the fit from telling nonsense, see `somaray.plan.fit`.
    """

    quantity: Callable[[Work], float]
    expected: float


MB = 1e6

_DRIVER = Term(lambda work: 1, 350 * MB)
_WORKERS = Term(lambda work: work.processes, 200 * MB)
_THREADS = Term(lambda work: work.all_threads, 50 * MB)
_ONE_WORKER = Term(lambda work: 1, 350 * MB)
_THREADS_OF_ONE = Term(lambda work: work.threads, 20 * MB)
# Codes or values, and what turning Arrow into pandas takes beside them.
_OBS_VALUES = Term(lambda work: work.size.n_obs * work.obs_columns, 20)
# Joinids, their order, batches and totals: numbers of 8 bytes, more than once.
_CELLS = Term(lambda work: work.size.n_obs, 100)
# Three matrices of 8 bytes a non-zero: the counts, normalised, as logarithms.
_UNDER_WAY = Term(lambda work: work.copied(work.all_threads), 24)
# Chunks are not all at their largest at once, but one of them is.
_ONE_CHUNK = Term(lambda work: work.copied(1), 10)
# Dask's workers give freed memory back to the system at once (its nanny sets MALLOC_TRIM_THRESHOLD_), a driver keeps it.
_KEPT = Term(lambda work: 0 if work.processes else work.copied(work.threads), 10)
_UNDER_WAY_IN_ONE = Term(lambda work: work.copied(work.threads), 24)
_BUFFERED = Term(lambda work: work.buffered_bytes(work.all_threads), 1)
_BUFFERED_IN_ONE = Term(lambda work: work.buffered_bytes(work.threads), 1)

_CHUNKED_PEAK = {
    "driver": _DRIVER,
    "worker": _WORKERS,
    "thread": _THREADS,
    "obs value": _OBS_VALUES,
    "non-zero under way": _UNDER_WAY,
    "non-zero of a chunk": _ONE_CHUNK,
    "non-zero kept in the driver": _KEPT,
}
_CHUNKED_WORKER = {
    "worker": _ONE_WORKER,
    "thread": _THREADS_OF_ONE,
    "non-zero under way": _UNDER_WAY_IN_ONE,
    "non-zero of a chunk": _ONE_CHUNK,
}
_ALL_READ = Term(lambda work: work.passes * work.size.nnz, 0)


def _chunked_seconds(run: float, workers: float, cell: float, read: float, read_by_threads: float) -> dict[str, Term]:
    """Terms of a method that reads chunks, with what each is expected to cost in seconds."""
    return {
        "run": Term(lambda work: 1, run),
        # Workers start and import side by side, as many at a time as there are cores.
        "round of workers": Term(lambda work: -(-work.processes // work.cores), workers),
        "chunk": Term(lambda work: work.passes * -(-work.size.n_obs // work.chunk_rows) / work.busy, 0.02),
        "cell": Term(lambda work: work.size.n_obs, cell),
        "non-zero read": replace(_ALL_READ, expected=read),
        "non-zero read, by threads": Term(lambda work: work.passes * work.size.nnz / work.busy, read_by_threads),
    }


_SECONDS_OF_FILES = _chunked_seconds(run=0.3, workers=2.5, cell=4e-6, read=1e-8, read_by_threads=2e-8)
_OF_FILES = {PEAK: _CHUNKED_PEAK, WORKER: _CHUNKED_WORKER, SECONDS: _SECONDS_OF_FILES}
_SUMS = 8 * 2

TERMS: Mapping[str, Mapping[str, Mapping[str, Term]]] = {
    "soma-dask": {
        PEAK: {**_CHUNKED_PEAK, "byte buffered": _BUFFERED},
        WORKER: {**_CHUNKED_WORKER, "byte buffered": _BUFFERED_IN_ONE},
        SECONDS: _chunked_seconds(run=0.5, workers=3, cell=4e-6, read=4e-8, read_by_threads=2e-8),
    },
    "h5ad-dask": _OF_FILES,
    "zarr-dask": _OF_FILES,
    "in-memory": {
        PEAK: {
            "driver": _DRIVER,
            "obs value": _OBS_VALUES,
            "non-zero": Term(lambda work: work.size.nnz, 24),
            "byte buffered": _BUFFERED,
        },
        SECONDS: {
            "run": Term(lambda work: 1, 2.5),
            # What Scanpy compiles for it, whatever the size.
            "normalisation": Term(lambda work: work.copies == 1, 3),
            "cell": Term(lambda work: work.size.n_obs, 4e-6),
            "non-zero read": replace(_ALL_READ, expected=1e-7),
        },
    },
    "one-pass": {
        PEAK: {
            "driver": _DRIVER,
            "worker": _WORKERS,
            "thread": _THREADS,
            "cell": _CELLS,
            "sum by gene": Term(lambda work: work.all_threads * TASKS_AHEAD * work.size.n_vars, _SUMS),
            "non-zero kept": Term(lambda work: work.kept(work.all_threads), 6),
        },
        WORKER: {
            "worker": _ONE_WORKER,
            "thread": _THREADS_OF_ONE,
            "sum by gene": Term(lambda work: work.threads * TASKS_AHEAD * work.size.n_vars, _SUMS),
            "non-zero kept": Term(lambda work: work.kept(work.threads), 6),
        },
        SECONDS: _chunked_seconds(run=0.3, workers=2.3, cell=5e-7, read=1e-9, read_by_threads=3e-8),
    },
    "census": {
        PEAK: {
            "driver": _DRIVER,
            "cell": _CELLS,
            "gene": Term(lambda work: work.size.n_vars, 100),
            # It reads as fast as it can: batches wait for their turn as Arrow tables.
            "non-zero": Term(lambda work: work.size.nnz, 30),
            "byte buffered": Term(lambda work: work.buffered_bytes(1), 3),
        },
        SECONDS: {
            "run": Term(lambda work: 1, 0.1),
            "cell": Term(lambda work: work.size.n_obs, 5e-7),
            "non-zero read": replace(_ALL_READ, expected=2.5e-8),
            # Pages of large buffers are mapped anew for each batch.
            "byte buffered": Term(lambda work: work.buffered_bytes(1), 2e-9),
        },
    },
}
"""By method and figure, the quantities that the figure's constants multiply."""


def quantities(work: Work, figure: str) -> dict[str, float]:
    """What the constants of a figure are multiplied by; empty where the run has no such figure."""
    if figure == WORKER and not work.processes:
        return {}
    return {name: float(term.quantity(work)) for name, term in TERMS[work.method].get(figure, {}).items()}
