"""The plan of a configuration: sizes as far as they are known, runs that may not fit, and the table as people see it."""

import csv
import io

import anndata
import numpy as np
import pytest
from scipy import sparse

from somaray.cli import main
from somaray.config import load_settings
from somaray.datasets.census_schema import OBS_SCHEMA
from somaray.errors import SomarayError
from somaray.matrix import Run
from somaray.plan.constants import Constants, Fitted, Prediction
from somaray.plan.planned import UNKNOWN, doubts_of, plan_runs
from somaray.plan.size import CENSUS_OBS_COLUMNS, Size, known_size, size_of
from somaray.record_files import write_record
from somaray.report.plan_document import PLAN_COLUMNS, plan_csv, plan_markdown
from somaray.settings import Limits
from somaray.units import Parallelism
from support.made_records import PROVENANCE, manifest

GIB = 2**30
SYNTHETIC = {"kind": "synthetic", "n_obs": 1000, "n_vars": 50, "nnz_per_obs": 12.5}

GOLDEN = """\
# Plan

## elsewhere

Size unknown until prepared.

| method | chunk | P×T×C | variant | peak PSS | largest worker | time | fits |
| :-- | :-- | :-- | :-- | --: | --: | --: | :-- |
| soma-dask | 100 | 2×1×1 | default | – | – | – | unknown until prepared |
| soma-dask | 100 | 2×1×1 | small | – | – | – | unknown until prepared |

## tiny

1,000 cells, 50 genes, 12,500 non-zeros.

| method | chunk | P×T×C | variant | peak PSS | largest worker | time | fits |
| :-- | :-- | :-- | :-- | --: | --: | --: | :-- |
| soma-dask | 100 | 2×1×1 | default | 6 GiB | 2 GiB | 30 s | **beyond the budget of 5 GiB; longer than 20 s** |
| soma-dask | 100 | 2×1×1 | small | 6 GiB | 2 GiB | 30 s | **beyond the budget of 5 GiB; longer than 20 s** |
| zarr-dask | 100 | 2×1×1 | default | 1 GiB | 1 GiB | 10 s | yes |

3 of 5 runs planned, 2 of them with doubts, which keep none from being tried. Their executions, a capture and 2 timings each, take \
about 3 min 30 s, preparing datasets left out.

Constants: those shipped, fitted from 16 runs on Some CPU, 4 cores, 16 GiB, 2026-01-02.
"""


def fitted(n_runs: int = 8, **terms: float) -> Fitted:
    return Fitted(terms=terms, margin=1.0, n_runs=n_runs)


CONSTANTS = Constants(
    methods={
        "soma-dask": {
            "peak_pss_bytes": fitted(driver=2 * GIB, worker=2 * GIB),
            "largest_worker_bytes": fitted(worker=2 * GIB),
            "seconds": fitted(run=30),
        },
        "zarr-dask": {
            "peak_pss_bytes": fitted(driver=GIB),
            "largest_worker_bytes": fitted(worker=GIB),
            "seconds": fitted(run=10),
        },
    },
    provenance=PROVENANCE,
)


def settings(tmp_path, **changes):
    experiment = tmp_path / "experiment"
    experiment.mkdir(exist_ok=True)
    config = {
        "catalogue": {"tiny": SYNTHETIC, "elsewhere": {"kind": "soma", "uri": str(experiment)}},
        "datasets": ["tiny", "elsewhere"],
        "methods": ["soma-dask", "zarr-dask"],
        "chunk_sizes": [100],
        "parallelism": ["2x1x1"],
        "exclude": [{"dataset": "elsewhere", "method": "zarr-dask"}],
        "variants": {"default": {}, "small": {"tiledb": {"soma.init_buffer_bytes": "16MiB"}}},
        **changes,
    }
    return load_settings(config)


def test_the_plan_as_people_see_it(tmp_path) -> None:
    limits = Limits(memory_bytes=5 * GIB, time_seconds=20.0)
    planned = plan_runs(settings(tmp_path), tmp_path, CONSTANTS, 2, limits, machine_bytes=16 * GIB)
    assert plan_markdown(planned, CONSTANTS, 2) == GOLDEN
    assert "(hvg.batch\\_key donor\\_id) are not in the model" in plan_markdown(planned, CONSTANTS, 2, "donor_id")
    assert [each.doubts == (UNKNOWN,) for each in planned] == [True, True, False, False, False]


def test_the_plan_as_numbers_with_what_jobs_ask_for(tmp_path) -> None:
    limits = Limits(memory_bytes=5 * GIB)
    planned = plan_runs(settings(tmp_path), tmp_path, CONSTANTS, 2, limits)
    rows = list(csv.DictReader(io.StringIO(plan_csv(planned, limits))))
    assert list(rows[0]) == list(PLAN_COLUMNS)
    unknown, doubtful, fitting = rows[0], rows[2], rows[4]
    assert (unknown["predicted_peak_pss_bytes"], unknown["doubts"]) == ("", UNKNOWN)
    # 5 GiB are 90 % of what a job has beside 1 GiB; 1 GiB and half as much again.
    assert (unknown["job_memory_mib"], unknown["job_minutes"]) == (str(5689 + 1024), "")
    assert (doubtful["job_memory_mib"], doubtful["job_minutes"]) == (str(5689 + 1024), str(2 + 15))
    assert (fitting["job_memory_mib"], fitting["job_minutes"], fitting["job_cores"]) == (str(1707 + 1024), "16", "3")
    assert [fitting[f"predicted_{name}"] for name in ("peak_pss_bytes", "largest_worker_bytes", "seconds")] == [
        str(GIB),
        str(GIB),
        "10.0",
    ]
    assert [fitting[name] for name in ("method", "chunk_size", "processes", "variant")] == [
        "zarr-dask",
        "100",
        "2",
        "default",
    ]


def test_a_prepared_dataset_is_planned_by_its_manifest(tmp_path) -> None:
    write_record(tmp_path / "datasets/elsewhere/manifest.json", manifest("elsewhere", nnz=99, uri="s3://bucket/x"))
    planned = plan_runs(settings(tmp_path), tmp_path, CONSTANTS, 2, Limits())
    found = next(each for each in planned if each.run.dataset == "elsewhere")
    assert found.size == Size(1000, 50, 99, 1, remote=True)
    for stored_n_vars, claims_totals in ((50, True), (51, False)):
        own = manifest("elsewhere", nnz=99, obs_columns=("raw_sum",), stored_n_vars=stored_n_vars)
        assert size_of(own).claims_totals == claims_totals
    # Nothing tells how fast the net is.
    assert (found.prediction.peak_pss_bytes, found.prediction.seconds, found.doubts) == (6 * GIB, None, ())
    assert "| 6 GiB | 2 GiB | – | yes |" in plan_markdown(planned, CONSTANTS, 2)


def test_a_method_that_does_not_know_the_flavour_is_not_planned(tmp_path) -> None:
    own = settings(tmp_path, methods=["census"], datasets=["tiny"], exclude=[], variants={"default": {}})
    (planned,) = plan_runs(own, tmp_path, CONSTANTS, 2, Limits())
    assert (planned.prediction, planned.doubts) == (None, ("unsupported: flavor seurat",))


def test_the_machine_is_named_before_the_budget() -> None:
    prediction = Prediction(peak_pss_bytes=9 * GIB, largest_worker_bytes=None, seconds=None)
    limits = Limits(memory_bytes=4 * GIB, time_seconds=1.0)
    assert doubts_of(prediction, limits, 8 * GIB) == ["beyond the machine's 8 GiB"]
    assert doubts_of(prediction, limits, 16 * GIB) == ["beyond the budget of 4 GiB"]
    assert doubts_of(prediction, Limits(), None) == []


def test_a_size_is_known_before_a_dataset_is_prepared_where_its_entry_tells(tmp_path) -> None:
    nowhere = tmp_path / "manifest.json"
    assert known_size(SYNTHETIC, nowhere) == Size(1000, 50, 12_500, 28, claims_totals=True)
    assert known_size({"kind": "census", "version": "stable"}, nowhere) is None
    assert known_size({"kind": "soma", "uri": "s3://bucket/x"}, nowhere) is None
    assert len(OBS_SCHEMA.names) == CENSUS_OBS_COLUMNS


@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
def test_an_h5ad_file_tells_by_its_header(tmp_path, form) -> None:
    counts = sparse.random(30, 20, density=0.2, format="csr", rng=np.random.default_rng(1), dtype=np.float32)
    counts.data[:] = 3
    cells = anndata.AnnData({"csr": counts, "csc": counts.tocsc(), "dense": counts.toarray()}[form])
    cells.obs["type"] = "a"
    cells.write_h5ad(tmp_path / "cells.h5ad")
    found = known_size({"kind": "h5ad", "path": str(tmp_path / "cells.h5ad")}, tmp_path / "manifest.json")
    # How many values of a dense matrix are zeros, only reading it tells.
    assert found == (None if form == "dense" else Size(30, 20, counts.nnz, 2))
    cells.obs["raw_sum"] = 1.0
    cells.write_h5ad(tmp_path / "claiming.h5ad")
    found = known_size({"kind": "h5ad", "path": str(tmp_path / "claiming.h5ad")}, tmp_path / "manifest.json")
    assert found == (None if form == "dense" else Size(30, 20, counts.nnz, 3, claims_totals=True))


def test_an_h5ad_file_that_is_gone_is_named(tmp_path) -> None:
    with pytest.raises(SomarayError, match="gone.h5ad: no such file"):
        known_size({"kind": "h5ad", "path": str(tmp_path / "gone.h5ad")}, tmp_path / "manifest.json")


def test_a_store_that_does_not_tell_its_non_zeros_has_no_size(tmp_path) -> None:
    assert size_of(manifest(nnz=None)) is None
    write_record(tmp_path / "manifest.json", manifest(nnz=None))
    assert known_size({"kind": "soma"}, tmp_path / "manifest.json") is None


def test_a_variant_s_settings_count(tmp_path) -> None:
    """The buffers that it asks for are those of the prediction."""
    terms = {"peak_pss_bytes": fitted(**{"byte buffered": 1}), "seconds": fitted()}
    constants = Constants(methods={"soma-dask": terms}, provenance=PROVENANCE)
    large = {"kind": "synthetic", "n_obs": "1M", "n_vars": 1000, "nnz_per_obs": 100}
    own = settings(
        tmp_path,
        catalogue={"tiny": large},
        datasets=["tiny"],
        methods=["soma-dask"],
        chunk_sizes=["1M"],
        parallelism=["1x1x1"],
        exclude=[],
    )
    default, small = plan_runs(own, tmp_path, constants, 2, Limits())
    assert default.run == Run("tiny", "soma-dask", 1_000_000, Parallelism(1, 1, 1))
    assert default.prediction.peak_pss_bytes == 20 * 100_000_000
    assert small.prediction.peak_pss_bytes == 3 * 16 * 2**20


def test_mistakes_of_the_command_line_are_one_line(tmp_path, monkeypatch, capsys, root) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plan"]) == 2
    assert "expected to be started in the checkout" in capsys.readouterr().err
    monkeypatch.chdir(root)
    (tmp_path / "bad.yaml").write_text("chunk_sizes: [0]\n")
    assert main(["plan", "--configfile", str(tmp_path / "bad.yaml")]) == 2
    error = capsys.readouterr().err
    assert (error.count("\n"), f"{tmp_path}/bad.yaml: chunk_sizes[0]:" in error) == (1, True)
    for text, expected in (("a: [", "not YAML"), ("- a\n", "expected a mapping"), (None, "No such file")):
        path = tmp_path / "other.yaml"
        path.write_text(text) if text is not None else path.unlink()
        assert main(["plan", "--configfile", str(path)]) == 2
        assert expected in capsys.readouterr().err


def test_files_of_the_command_line_lie_over_those_of_the_checkout(tmp_path, monkeypatch, capsys, root) -> None:
    monkeypatch.chdir(root)
    (tmp_path / "mine.yaml").write_text(
        "catalogue: {mine: {kind: synthetic, n_obs: 10k, n_vars: 1k, nnz_per_obs: 50}}\ndatasets: [mine]\nreplicates: 5\n"
    )
    given = ["--configfile", str(tmp_path / "mine.yaml"), "--results", str(tmp_path)]
    assert main(["plan", *given, "--csv", str(tmp_path / "plan.csv")]) == 0
    assert "mine,soma-dask," in (tmp_path / "plan.csv").read_text()
    printed = capsys.readouterr().out
    assert "## mine\n\n10,000 cells, 1,000 genes, 500,000 non-zeros.\n" in printed
    assert "a capture and 5 timings each" in printed
