"""Records of the notes that somaray comes from: TileDB-SOMA's own Dask and HVG profiling, one JSON file a run."""

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from somaray.allocations.places import locate
from somaray.errors import SomarayError
from somaray.matrix import Run
from somaray.records import Place
from somaray.units import Parallelism, parse_count

METHODS = {"h5ad": "h5ad-dask", "tdbs": "soma-dask", None: "soma-dask"}

_NAME = re.compile(
    r"(?:(?P<source>h5ad|tdbs)_)?(?P<chunk>\d+[kM]?)_"
    r"(?:d(?P<dask>\d+(?:x\d+)?)_T(?P<tiledb>\d+)|(?P<processes>\d+)x(?P<threads>\d+)(?:x(?P<tile_threads>\d+))?)"
)
_LOCATION = re.compile(r"(?P<function>.+?):(?P<file>.+):(?P<line>\d+)")


class _Allocation(msgspec.Struct):
    location: str
    size: int


class _Dask(msgspec.Struct):
    chunk_size: int | None = None
    procs: int | None = None
    threads_per_proc: int | None = None
    threads: int | None = None


class _Record(msgspec.Struct):
    times: dict[str, float]
    total_time: float
    peak_mem: int | None = None
    top_allocs: list[_Allocation] | None = None
    tracked_bytes: int | None = None
    tissue: str | None = None
    n_obs: int | None = None
    obs_per_s: float | None = None
    hvg_obs_per_s: float | None = None
    dask_chunk_size: int | None = None
    n_dask_workers: int | None = None
    n_dask_threads_per_worker: int | None = None
    tdb_concurrency: int | None = None
    dask: _Dask | None = None


@dataclass(frozen=True)
class ForeignRun:
    """One run measured elsewhere; a field is None where its record does not tell.

    `processes` = 0 means Dask threads inside the driver, `tile_threads` is None where TileDB was not read. `wall_seconds`
    contains everything the record counts, memray included. `driver_heap_peak_bytes` is memray's, of the driver alone, as are
    `places`: totals ever allocated, the largest few.
    """

    path: Path
    dataset: str
    method: str
    n_obs: int | None
    chunk_size: int
    processes: int
    threads: int
    tile_threads: int | None
    wall_seconds: float
    hvg_seconds: float | None
    cells_per_second: float | None
    hvg_cells_per_second: float | None
    phase_seconds: dict[str, float]
    driver_heap_peak_bytes: int | None
    driver_total_bytes: int | None
    places: tuple[Place, ...]

    @property
    def run(self) -> Run:
        """Its point of the matrix; TileDB threads are 0, which no run of ours has, where TileDB was not read."""
        parallelism = Parallelism(self.processes, self.threads, self.tile_threads or 0)
        return Run(self.dataset, self.method, self.chunk_size, parallelism)


def read_foreign(path: str | Path) -> ForeignRun:
    """Read a record such as `hvg/heart/100k_4x4x4.json`.

    What the record leaves out is taken from its names: the setting from the file's, the dataset from the folder's; the number
    of cells from cells a second times seconds.

    Raises
    ------
    SomarayError
        If the file is not such a record, or its setting is neither in it nor in its name.
    """
    path = Path(path)
    try:
        record = msgspec.json.decode(path.read_bytes(), type=_Record)
    except OSError as error:
        raise SomarayError(f"{path}: {error.strerror or error}, expected a record of HVG profiling") from error
    except msgspec.MsgspecError as error:
        raise SomarayError(f"{path}: not a record of HVG profiling ({error})") from error
    name = _NAME.fullmatch(path.stem)
    chunk_size, processes, threads, tile_threads = _setting(record, name)
    if not chunk_size or processes is None or not threads:
        raise SomarayError(
            f"{path}: neither the record (dask_chunk_size, n_dask_workers, n_dask_threads_per_worker, tdb_concurrency) nor "
            "its name (e.g. 100k_4x4x4) tells chunk size and parallelism"
        )
    n_obs = record.n_obs
    if n_obs is None and record.obs_per_s is not None:
        n_obs = round(record.obs_per_s * record.total_time)
    return ForeignRun(
        path=path,
        dataset=record.tissue or path.resolve().parent.name,
        method=METHODS[name["source"] if name else None],
        n_obs=n_obs,
        chunk_size=chunk_size,
        processes=processes,
        threads=threads,
        tile_threads=tile_threads,
        wall_seconds=record.total_time,
        hvg_seconds=record.times.get("hvg"),
        cells_per_second=record.obs_per_s,
        hvg_cells_per_second=record.hvg_obs_per_s,
        phase_seconds=record.times,
        driver_heap_peak_bytes=record.peak_mem,
        driver_total_bytes=record.tracked_bytes,
        places=tuple(_place(path, allocation) for allocation in record.top_allocs or ()),
    )


def _setting(record: _Record, name: re.Match[str] | None) -> tuple[int | None, int | None, int | None, int | None]:
    """Chunk size, processes, threads and TileDB threads, from the record where it has them, else from the file's name."""
    dask = record.dask or _Dask()
    chunk_size = record.dask_chunk_size or dask.chunk_size
    processes, threads = record.n_dask_workers, record.n_dask_threads_per_worker
    if dask.threads_per_proc is not None:
        processes, threads = dask.procs, dask.threads_per_proc
    elif dask.threads is not None:
        processes, threads = 0, dask.threads
    tile_threads = record.tdb_concurrency
    if name is None:
        return chunk_size, processes, threads, tile_threads
    if threads is None:
        if name["dask"]:
            *before, last = map(int, name["dask"].split("x"))
            processes, threads = before[0] if before else 0, last
        else:
            processes, threads = int(name["processes"]), int(name["threads"])
    if tile_threads is None and (named := name["tiledb"] or name["tile_threads"]):
        tile_threads = int(named)
    if name["source"] == "h5ad":
        tile_threads = None
    return chunk_size or parse_count(name["chunk"]), processes, threads, tile_threads


def _place(path: Path, allocation: _Allocation) -> Place:
    if allocation.location == "<stack trace unavailable>":
        return Place(file=None, function=None, line=None, package=None, total_bytes=allocation.size, held_bytes=None)
    location = _LOCATION.fullmatch(allocation.location)
    if location is None:
        raise SomarayError(f"{path}: top_allocs: location {allocation.location!r} is not function:file:line")
    source = locate(location["file"])
    return Place(
        file=source.file,
        function=location["function"],
        line=int(location["line"]),
        package=source.package,
        total_bytes=allocation.size,
        held_bytes=None,
    )
