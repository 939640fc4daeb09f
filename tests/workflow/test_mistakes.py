"""A user's mistake is one readable message with file, key, value and what is allowed, and nothing runs."""

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
import yaml

from support.workflow import TINY, Checkout

MISTAKES = {
    "unknown key": ({"chunk_size": [5]}, ["mine.yaml", "chunk_size", "unknown key", "chunk_sizes"]),
    "unknown dataset": ({"datasets": ["liver"]}, ["mine.yaml", "datasets[0]", "'liver'", "tiny"]),
    "unknown method": ({"methods": ["magic"]}, ["mine.yaml", "methods[0]", "'magic'", "soma-dask"]),
    "two numbers": ({"parallelism": ["4x4"]}, ["mine.yaml", "parallelism[0]", "'4x4'", "PxTxC"]),
    "no count": ({"chunk_sizes": ["10q"]}, ["mine.yaml", "chunk_sizes[0]", "'10q'", "100k"]),
    "no replicates": ({"replicates": 0}, ["mine.yaml", "replicates", "0", "at least 1"]),
    "no file": (
        {"catalogue": {"new": {"kind": "h5ad", "path": "no/such.h5ad"}}, "datasets": ["new"]},
        ["mine.yaml", "catalogue.new", "no/such.h5ad"],
    ),
    "no folder": (
        {"catalogue": {"new": {"kind": "soma", "uri": "no/such"}}, "datasets": ["new"]},
        ["mine.yaml", "catalogue.new", "no/such"],
    ),
    "a key of another kind": (
        {"catalogue": {"new": {"kind": "soma", "uri": "x", "n_obs": 5}}},
        ["mine.yaml", "catalogue.new.n_obs", "uri"],
    ),
    "nothing imported": ({"imported": ["no/such/*.json"]}, ["mine.yaml", "imported[0]", "no/such"]),
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    return Checkout.make(tmp_path_factory.mktemp("mistakes") / "somaray", TINY)


def complain(checkout: Checkout, mistake: dict) -> str:
    (checkout.folder / "mine.yaml").write_text(yaml.safe_dump(mistake))
    done = checkout.run("--cores", "1", "--configfile", "mine.yaml", check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0, text
    assert "Traceback" not in text
    assert not (checkout.folder / "results").exists()
    return text


@pytest.mark.parametrize(("mistake", "told"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_told_before_anything_runs(checkout, mistake, told) -> None:
    text = complain(checkout, mistake)
    for part in told:
        assert part in text


def test_h5ad_without_raw_counts_is_told_before_anything_runs(checkout) -> None:
    counts = sp.random(40, 30, density=0.3, format="csr", random_state=0, dtype=np.float32)
    anndata.AnnData(counts).write_h5ad(checkout.folder / "normalised.h5ad")
    entry = {"kind": "h5ad", "path": "normalised.h5ad"}
    text = complain(checkout, {"catalogue": {"new": entry}, "datasets": ["new"]})
    for part in ("mine.yaml", "catalogue.new", "normalised.h5ad", "counts"):
        assert part in text


def test_empty_selection_of_cells_is_told(checkout, tmp_path) -> None:
    made = Checkout.make(tmp_path / "somaray", {**TINY, "parallelism": ["0x1x1"]})
    made.run("--cores", "1", "results/datasets/tiny/manifest.json")
    entry = {"kind": "soma", "uri": "results/datasets/tiny/soma", "obs_filter": 'tissue == "nowhere"'}
    (made.folder / "mine.yaml").write_text(yaml.safe_dump({"catalogue": {"none": entry}, "datasets": ["none"]}))
    done = made.run("--cores", "1", "--configfile", "mine.yaml", check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert 'tissue == "nowhere"' in text
    assert "Traceback" not in text.replace("traceback", "")


def test_wrong_filter_is_shown_whole(tmp_path) -> None:
    made = Checkout.make(tmp_path / "somaray", {**TINY, "parallelism": ["0x1x1"]})
    made.run("--cores", "1", "results/datasets/tiny/manifest.json")
    entry = {"kind": "soma", "uri": "results/datasets/tiny/soma", "obs_filter": "no_such_column == 3"}
    (made.folder / "mine.yaml").write_text(yaml.safe_dump({"catalogue": {"none": entry}, "datasets": ["none"]}))
    done = made.run("--cores", "1", "--configfile", "mine.yaml", check=False)
    assert done.returncode != 0
    assert "no_such_column" in done.stderr
