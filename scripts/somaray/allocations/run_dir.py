"""All records of one run, from its directory or its name."""

from pathlib import Path

from somaray.allocations.summarise import summarise_run
from somaray.errors import SomarayError
from somaray.records import Allocations, Execution, read_record

RUNS = Path("results/hvg")
"""Where the workflow keeps runs, below the folder it is run in."""


def find_run_dir(name: str | Path) -> Path:
    """Find a run by its directory, or as `dataset/method/setting` below `RUNS`.

    Raises
    ------
    SomarayError
        If neither holds a capture's record.
    """
    tried = [Path(name), RUNS / name]
    for folder in tried:
        if (folder / "capture.json").is_file():
            return folder
    raise SomarayError(f"{name}: not a run: no capture.json in {' or '.join(map(str, tried))}")


def read_run(run_dir: Path) -> tuple[Execution, list[Execution], Allocations | None]:
    """Read the capture's record, the timings in order, and the allocations, summarised now if that was not done yet.

    Allocations are None where the captures themselves are gone.

    Raises
    ------
    SomarayError
        If a record cannot be read.
    """
    capture = read_record(run_dir / "capture.json", Execution)
    timings = [read_record(path, Execution) for path in (run_dir / "timing").glob("*.json")]
    allocations = None
    if (run_dir / "allocations.json").is_file():
        allocations = read_record(run_dir / "allocations.json", Allocations)
    elif (run_dir / "capture").is_dir():
        allocations = summarise_run(run_dir)
    return capture, sorted(timings, key=lambda timing: timing.replicate or 0), allocations
