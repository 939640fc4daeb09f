"""The configurations in the checkout are right: each expands to the runs it says, and Snakemake can plan them."""

from collections import Counter

import pytest
import yaml

from somaray.config import load_settings
from support.workflow import Checkout, announced

SHIPPED = {
    "census.yaml": {"heart": "census", "lung": "census"},
    "seed_scale.yaml": {"synthetic-heart": "synthetic", "synthetic-lung": "synthetic"},
}
NOTES = ["soma-dask/100k_2x2x2", "soma-dask/100k_4x4x4"]
BESIDE = {
    "census.yaml": {},
    "seed_scale.yaml": {
        dataset: ["one-pass/20k_2x1x1", "one-pass/100k_2x2x2", "one-pass/100k_4x4x4"]
        for dataset in ("synthetic-heart", "synthetic-lung")
    },
}
BESIDE["seed_scale.yaml"]["synthetic-heart"] += ["soma-dask/10k_1x1x1", "soma-dask/20k_2x1x1"]


def expected_runs(name):
    return [f"{dataset}/{run}" for dataset in SHIPPED[name] for run in BESIDE[name].get(dataset, []) + NOTES]


def merged_settings(root, name):
    """As Snakemake merges them: mappings merge, everything else is replaced (all these mappings are flat, save catalogues)."""
    files = [root / "config" / file for file in ("datasets.yaml", "config.yaml", name)]
    config = {}
    for file in files:
        for key, value in yaml.safe_load(file.read_text()).items():
            config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
    return load_settings(config, files)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_notes_four_runs_and_what_stands_beside_them(root, name):
    settings = merged_settings(root, name)
    assert [run.path for run in settings.runs] == expected_runs(name)
    assert {dataset: settings.catalogue[dataset]["kind"] for dataset in settings.datasets} == SHIPPED[name]
    assert settings.common.tiledb["sm.mem.total_budget"] == "2147483648"
    assert not settings.common.dask.memory_management
    assert settings.hvg.n_top_genes is None


def test_small_buffers_stand_beside_the_default_of_one_run_and_in_no_other_dataset(root, tmp_path):
    settings = merged_settings(root, "config.yaml")
    path = "census-like-12k/soma-dask/6k_2x1x1"
    assert path in {run.path for run in settings.runs}
    assert [run.path for run in settings.runs if run.variant != "default"] == [f"{path}_small-buffers"]
    # A file of a user's own that names no variant has none.
    (tmp_path / "mine.yaml").write_text(
        "catalogue: {mine: {kind: synthetic, n_obs: 10k, n_vars: 1k, nnz_per_obs: 50}}\ndatasets: [mine]"
    )
    assert {run.variant for run in merged_settings(root, tmp_path / "mine.yaml").runs} == {"default"}


def test_synthetic_heart_and_lung_are_as_large_as_those_of_census(root):
    catalogue = merged_settings(root, "seed_scale.yaml").catalogue
    sizes = {
        name: (entry["n_obs"], entry["n_vars"]) for name, entry in catalogue.items() if name.startswith("synthetic-")
    }
    assert sizes == {"synthetic-heart": (1_559_974, 60_530), "synthetic-lung": (3_677_225, 60_530)}


@pytest.mark.parametrize("name", SHIPPED)
def test_snakemake_plans_each_run_once(root, tmp_path, name):
    checkout = Checkout.make(tmp_path / "checkout", {"catalogue": {}})
    for file in ("datasets.yaml", "config.yaml"):
        (checkout.folder / "config" / file).write_text((root / "config" / file).read_text())
    done = checkout.run("--cores", "2", "--dry-run", "--nocolor", "--configfile", f"config/{name}")
    text = done.stdout + done.stderr
    outputs = Counter(job.output for job in announced(text))
    assert [outputs[f"results/hvg/{run}/capture.json"] for run in expected_runs(name)] == [1] * len(expected_runs(name))
