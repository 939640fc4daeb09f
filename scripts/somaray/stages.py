"""What each stage of the workflow depends on beside its settings and inputs: the fingerprints in the rules' parameters.

Entries are as narrow as is true: what only tells a person how far a run is, or renders a table, is not among those of a
measured run.
"""

import hashlib
from pathlib import Path

from somaray.fingerprints import PACKAGE_DIR, source_fingerprint, version_fingerprint
from somaray.registry import METHODS

STORE_PACKAGES = ("numba", "numpy", "pyarrow", "tiledb", "tiledbsoma")
RUN_PACKAGES = (
    *STORE_PACKAGES,
    "anndata",
    "dask",
    "distributed",
    "fast-array-utils",
    "pandas",
    "scanpy",
    "scikit-misc",
    "scipy",
    "somacore",
)
EXPORT_PACKAGES = (*STORE_PACKAGES, "anndata", "h5py", "numcodecs", "pandas", "scipy", "zarr")

_DATASET_ENTRIES = {
    "synthetic": ("somaray.datasets.synthetic:write_synthetic", "somaray.datasets.count_model:CountModel"),
    "h5ad": ("somaray.datasets.ingest:ingest_h5ad",),
    "soma": ("somaray.datasets.locate:locate_soma",),
    "census": ("somaray.datasets.locate:locate_census",),
}


CONSTANTS = PACKAGE_DIR / "plan" / "constants.json"


def dataset_fingerprint(kind: str) -> str:
    """Fingerprint of what makes or locates a dataset of a kind."""
    return source_fingerprint(*_DATASET_ENTRIES[kind]) + version_fingerprint(STORE_PACKAGES)


def export_fingerprint() -> str:
    """Fingerprint of what exports a dataset to AnnData files."""
    return source_fingerprint("somaray.datasets.export:export") + version_fingerprint(EXPORT_PACKAGES)


def run_fingerprint(method: str) -> str:
    """Fingerprint of an unprofiled execution: the method, and all that measures it."""
    return source_fingerprint(
        METHODS[method].module,
        "somaray.measure.execute:main",
        "somaray.measure.sampler:run",
        "somaray.measure.assemble:assemble",
        "somaray.measure.supervise:child_environment",
    ) + version_fingerprint([*RUN_PACKAGES, *METHODS[method].packages])


def capture_fingerprint(method: str) -> str:
    """Fingerprint of a profiled execution, whose pages are watched too."""
    return (
        run_fingerprint(method) + source_fingerprint("somaray.measure.page_watcher") + version_fingerprint(["memray"])
    )


def native_capture_fingerprint(method: str) -> str:
    """Fingerprint of a profiled execution with native traces, whose pages nobody watches."""
    return run_fingerprint(method) + version_fingerprint(["memray"])


def reference_fingerprint(method: str) -> str:
    """Fingerprint of a reference that a method makes."""
    return source_fingerprint(f"{METHODS[method].module}:compute_hvg") + version_fingerprint(RUN_PACKAGES)


def agreement_fingerprint() -> str:
    """Fingerprint of what holds results against the reference."""
    return source_fingerprint("somaray.agreement:check_run")


def allocations_fingerprint() -> str:
    """Fingerprint of what summarises captures."""
    programs = ("somaray.allocations.read", "somaray.allocations.residency", "somaray.allocations.heap_lines")
    entries = ("somaray.allocations.summarise:summarise", *programs)
    return source_fingerprint(*entries) + version_fingerprint(["memray"])


def native_fingerprint() -> str:
    """Fingerprint of what names allocations without a Python frame."""
    entries = ("somaray.allocations.native", "somaray.allocations.native_record")
    return source_fingerprint(*entries) + version_fingerprint(["memray"])


def report_fingerprint(module: str, *files: Path) -> str:
    """Fingerprint of a module that renders, and of files beside the sources that it renders with."""
    texts = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16] if files else ""
    return source_fingerprint(f"somaray.report.{module}") + texts


def tables_fingerprint() -> str:
    """Fingerprint of what writes the tables of runs, agreement and processes, the plan's shipped constants among it."""
    return report_fingerprint("tables", CONSTANTS) + report_fingerprint("processes")


def recommend_fingerprint() -> str:
    """Fingerprint of what recommends settings."""
    return report_fingerprint("recommend", CONSTANTS) + report_fingerprint("recommend_document")


def page_fingerprint() -> str:
    """Fingerprint of what makes the HTML report, the plan's shipped constants among it."""
    templates = sorted((PACKAGE_DIR / "report" / "html" / "templates").iterdir())
    return report_fingerprint("html.document", CONSTANTS, *templates) + version_fingerprint(
        ["itables", "markdown-it-py"]
    )


def replay_fingerprint() -> str:
    """Fingerprint of what makes replays."""
    packages = ("imageio-ffmpeg", "matplotlib", "pillow")
    entries = ("somaray.report.replay.clip", "somaray.report.details:most_typical", "somaray.report.details:columns")
    return source_fingerprint(*entries) + version_fingerprint(packages)


def figures_fingerprint() -> str:
    """Fingerprint of what draws figures."""
    return report_fingerprint("figures.files") + version_fingerprint(["matplotlib"])
