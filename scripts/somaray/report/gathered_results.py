"""The records of a results directory, where no rule names them."""

from pathlib import Path

from somaray.records import Agreement, Execution, Manifest, read_record
from somaray.report.compare.sides import read_directory
from somaray.report.gathered import Gathered


def gather_results(results_dir: str | Path) -> Gathered:
    """Read all runs of a results directory that are in its tables, or all there are without tables.

    Raises
    ------
    SomarayError
        If there are none, or a record cannot be read.
    """
    runs = list(read_directory(Path(results_dir)).runs.values())
    names = sorted({each.run.dataset for each in runs})
    return Gathered(
        manifests=tuple(
            read_record(Path(results_dir) / "datasets" / name / "manifest.json", Manifest) for name in names
        ),
        captures=tuple(each.capture for each in runs),
        timings=tuple(timing for each in runs for timing in each.timings),
        allocations=tuple(each.allocations for each in runs if each.allocations is not None),
        agreements=tuple(each.agreement or _not_checked(each.capture) for each in runs),
    )


def _not_checked(capture: Execution) -> Agreement:
    return Agreement(
        dataset=capture.dataset,
        method=capture.method,
        chunk_size=capture.chunk_size,
        parallelism=capture.parallelism,
        variant=capture.variant,
        reference=None,
        checks=(),
    )
