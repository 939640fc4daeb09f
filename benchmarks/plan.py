"""The plan against measurements: on datasets that differ in cells, genes, non-zeros and columns of obs, by every method.

    uv run benchmarks/plan.py                          # measures 85 runs, about 20 minutes on two idle cores
    uv run benchmarks/plan.py --keep DIR               # keeps datasets and records: the next time only fits
    uv run benchmarks/plan.py --keep DIR --repeats 3   # measures what is missing of three executions a run
    uv run benchmarks/plan.py --keep DIR --write       # ships the fit as the defaults

Each execution is unprofiled, in a process tree of its own. Two tables are printed: what the constants fitted from all runs say
of those same runs, and what constants fitted without a dataset say of it, for each dataset in turn; the second is the claim.
Of several executions of a run the largest memory and the least time count. Seconds depend on what else the machine does; memory
does where that shares libraries with the runs, since PSS counts a page by how many processes map it: let nothing else run from
the same installation, or from one that shares its files.
"""

import argparse
import contextlib
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import msgspec
from plan_runs import BENCHES, VARIANTS, runs_of

from somaray.config import Settings
from somaray.datasets.prepare import prepare
from somaray.datasets.store import Source
from somaray.matrix import Run, run_from_path
from somaray.measure.orders import Outputs, order_of
from somaray.measure.supervise import supervise
from somaray.plan.constants import SHIPPED, Constants, figure_of, predict
from somaray.plan.finished import Case, cases_of, run_of
from somaray.plan.fit import fit
from somaray.plan.size import Size, size_of
from somaray.plan.work import FIGURES, PEAK, SECONDS, WORKER, work_of
from somaray.records import RAW_SUM, Execution, Manifest, Provenance, read_record, write_record
from somaray.registry import METHODS
from somaray.settings import HvgSettings, Limits, ProfileSettings
from somaray.units import format_bytes

FULL_SIZE = {
    "one-pass/20k_2x1x1": 880 / 1024,
    "one-pass/100k_2x2x2": 951 / 1024,
    "one-pass/100k_4x4x4": 1.65,
    "soma-dask/20k_2x1x1": 5.19,
    "soma-dask/100k_2x2x2": 20.7,
}
"""Peak PSS in GiB of runs on synthetic heart on two cores, see `docs/seed-scale.md`."""


def prepared(name: str, folder: Path) -> Manifest:
    """Make a dataset with its manifest; what a kept folder holds is used."""
    path, bench = folder / name / "manifest.json", BENCHES[name]
    if not path.exists():
        entry = bench.entry()
        if bench.counts_of is not None:
            entry = {"kind": "h5ad", "path": str(without_totals(bench.counts_of, folder / name, folder))}
        write_record(path, prepare(name, entry, folder / name / "soma", ""))
    return read_record(path, Manifest)


def without_totals(name: str, own: Path, folder: Path) -> Path:
    """Write an h5ad file of a dataset's cells, without the column of their totals."""
    like = exported(Run(name, "h5ad-dask"), folder, prepared(name, folder))
    assert like is not None
    own.mkdir(parents=True, exist_ok=True)
    path = Path(shutil.copy(like, own / "counts.h5ad"))
    with h5py.File(path, "a") as file:
        obs = file["obs"]
        del obs[RAW_SUM]
        obs.attrs["column-order"] = [column for column in obs.attrs["column-order"] if column != RAW_SUM]
    return path


def exported(run: Run, folder: Path, manifest: Manifest) -> Path | None:
    """The AnnData file that the run's method reads, made if it is not there yet."""
    export = METHODS[run.method].export
    if export is None:
        return None
    path = folder / run.dataset / f"x.{export}"
    if not path.exists():
        # Not before: pages of libraries that this process holds too would count by half in what is measured.
        from somaray.datasets.export import export as export_dataset

        export_dataset(Source.from_manifest(manifest, {}, None), path, manifest.nnz)
    return path


def kept(run: Run, hvg: HvgSettings, folder: Path) -> list[Execution]:
    """Executions of a run that a kept folder holds."""
    records = sorted((folder / "hvg" / hvg.flavor / run.path / "timing").glob("*.json"))
    return [read_record(record, Execution) for record in records]


def executed(run: Run, hvg: HvgSettings, folder: Path, manifest: Manifest, repeats: int) -> Iterator[Execution]:
    """Executions of a run, those that a kept folder holds read from there."""
    settings = Settings(
        catalogue={},
        runs=(run,),
        replicates=repeats,
        hvg=hvg,
        profile=ProfileSettings(),
        limits=Limits(),
        imported=(),
        variants=VARIANTS,
    )
    own = folder / "hvg" / hvg.flavor / run.path
    for repeat in range(1, repeats + 1):
        record = own / f"timing/{repeat}.json"
        if not record.exists():
            outputs = Outputs(record, own / "hvg.parquet", own / "memory.parquet")
            own.mkdir(parents=True, exist_ok=True)
            export = exported(run, folder, manifest)
            order = order_of(settings, run, folder / run.dataset / "manifest.json", repeat, 1, outputs, export)
            with (folder / "log").open("a") as log:
                write_record(record, supervise(order, log))
        yield read_record(record, Execution)


FIGURE_NAMES = {PEAK: "peak PSS", WORKER: "largest worker", SECONDS: "seconds"}


def percent(share: float) -> str:
    """A share as whole per cent, with its sign."""
    return f"{100 * share:+.0f} %"


def written(value: float, figure: str) -> str:
    """A figure for people."""
    return f"{value:.1f} s" if figure == SECONDS else format_bytes(value)


def verdict(pairs: Sequence[tuple[float, float]]) -> str:
    """How many measurements are at most what was predicted, and the median of how far predictions are above."""
    held = sum(measured <= predicted for measured, predicted in pairs)
    excess = statistics.median(predicted / measured - 1 for measured, predicted in pairs)
    return f"measured ≤ predicted in {held} of {len(pairs)} ({held / len(pairs):.0%}), median excess {percent(excess)}"


def table(cases: Sequence[Case], names: Sequence[str], provenance: Provenance) -> None:
    """Print every run: measured, predicted by constants of all runs, and by constants fitted without its dataset."""
    of_all = fit(cases, provenance)
    datasets = dict.fromkeys(case.dataset for case in cases)
    without = {name: fit([case for case in cases if case.dataset != name], provenance) for name in datasets}
    sides: dict[str, dict[str, list[tuple[float, float]]]] = {figure: {"all": [], "unseen": []} for figure in FIGURES}
    print("| run | figure | measured | predicted | | by the other datasets alone | |")
    print("| :-- | :-- | --: | --: | --: | --: | --: |")
    for case, name in zip(cases, names, strict=True):
        for figure in FIGURES:
            if figure not in case.measured:
                continue
            measured, cells = case.measured[figure], []
            for side, constants in (("all", of_all), ("unseen", without[case.dataset])):
                predicted = figure_of(case.work, constants.methods[case.work.method][figure], figure)
                assert predicted is not None
                sides[figure][side].append((measured, predicted))
                cells += [written(predicted, figure), percent(predicted / measured - 1)]
            print(f"| {name} | {FIGURE_NAMES[figure]} | {written(measured, figure)} | {' | '.join(cells)} |")
    for figure, found in sides.items():
        print(f"\n{FIGURE_NAMES[figure]}, constants fitted from all runs: {verdict(found['all'])}")
        print(f"{FIGURE_NAMES[figure]}, dataset left out of the fit: {verdict(found['unseen'])}")


def at_full_size(constants: Constants) -> None:
    """Print what the constants say of Census heart's size, where a run of `docs/seed-scale.md` was measured."""
    heart = Size(1_559_974, 60_530, 2_340_000_000, 28, claims_totals=True)
    print("\nSynthetic heart, 2.34 billion non-zeros, none of whose runs is in the fit:")
    for path, measured in FULL_SIZE.items():
        run = run_from_path(f"heart/{path}")
        predicted = predict(work_of(run, heart, HvgSettings(), cores=2), constants)
        assert predicted is not None
        text = format_bytes(predicted.peak_pss_bytes)
        ratio = predicted.peak_pss_bytes / (measured * 2**30)
        print(f"  {path}: {measured:.3g} GiB of peak PSS measured, {text} predicted, × {ratio:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for datasets and records, kept for the next time")
    parser.add_argument("--write", action="store_true", help="ship the constants fitted from all runs")
    parser.add_argument("--only-fit", action="store_true", help="measure nothing: fit what the kept folder holds")
    arguments = parser.parse_args()
    executions: list[Execution] = []
    with contextlib.ExitStack() as stack:
        folder = Path(arguments.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="somaray-benchmark-")))
        folder.mkdir(parents=True, exist_ok=True)
        sizes: dict[str, Size | None] = {}
        for name in BENCHES:
            if arguments.only_fit and not (folder / name / "manifest.json").exists():
                continue
            manifest = prepared(name, folder)
            sizes[name] = size_of(manifest)
            print(f"{name}: {manifest.n_obs:,} cells × {manifest.n_vars:,} genes, {manifest.nnz:,} non-zeros")
            for run, hvg in runs_of(name):
                if not arguments.only_fit:
                    list(executed(run, hvg, folder, manifest, arguments.repeats))
                executions += kept(run, hvg, folder)
    bad = [execution for execution in executions if execution.status != "ok"]
    for execution in bad:
        print(f"left out: {run_of(execution).path}: {execution.status_text}")
    newest = max(executions, key=lambda execution: execution.provenance.made_at).provenance
    cases = cases_of(executions, sizes)
    names = [
        f"{run_of(execution).path}{' seurat_v3' if execution.hvg.flavor == 'seurat_v3' else ''}"
        for execution in executions
        if execution.status == "ok" and execution.replicate == 1
    ]
    table(cases, names, newest)
    constants = fit(cases, newest)
    at_full_size(constants)
    if arguments.write:
        # The kind of machine tells something to others, its name does not.
        host = msgspec.structs.replace(newest.host, name="where benchmarks/plan.py ran")
        newest = msgspec.structs.replace(newest, host=host)
        write_record(SHIPPED, msgspec.structs.replace(constants, provenance=newest))
        print(f"\nwritten to {SHIPPED.name}")


if __name__ == "__main__":
    sys.exit(main())
