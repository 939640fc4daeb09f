"""Experiments that are there already: counted as their filters leave them, and every mistake told."""

import json
from pathlib import Path

import cellxgene_census
import numpy as np
import pytest
import tiledbsoma

from somaray.datasets.locate import absolute_uri, is_remote
from somaray.datasets.prepare import check_entry, prepare
from somaray.datasets.releases import find_release, own_list
from somaray.datasets.store import Source
from somaray.errors import SomarayError
from support.census_store import write_census
from support.small_store import random_counts, read_whole, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An experiment of 90 cells and its counts."""
    x = random_counts(1, 90, 40)
    path = tmp_path_factory.mktemp("store") / "soma"
    write_store(path, x, {"batch": np.where(np.arange(90) < 30, "a", "b").tolist(), "depth": np.arange(90.0)})
    return path, x.tocsr()


def locate(path, **entry):
    return prepare("d", {"kind": "soma", "uri": str(path), **entry}, None, "f")


def test_without_filters_all_is_counted(store):
    path, x = store
    manifest = locate(path)
    assert (manifest.n_obs, manifest.n_vars, manifest.nnz) == (90, 40, x.nnz)
    assert (manifest.uri, manifest.obs_id, manifest.var_id) == (str(path), "obs_id", "var_id")
    size = sum(file.stat().st_size for file in (path / "ms/RNA/X/raw").rglob("*") if file.is_file())
    assert manifest.size_bytes == size
    assert manifest.obs_columns == ("soma_joinid", "obs_id", "batch", "depth")


def test_filters_leave_what_they_say(store):
    path, x = store
    manifest = locate(path, obs_filter='batch == "a" and depth >= 10', var_filter="rank < 25")
    assert (manifest.n_obs, manifest.n_vars) == (20, 25)
    assert (manifest.stored_n_obs, manifest.stored_n_vars) == (90, 40)
    assert manifest.nnz == x[10:30, :25].nnz
    adata = read_whole(Source.from_manifest(manifest, {}, 1))
    assert (x[10:30, :25] != adata.X).nnz == 0
    assert adata.obs_names[0] == "c10"


def test_nothing_is_copied_or_written(store, tmp_path):
    path, _ = store
    before = sorted(path.rglob("*"))
    prepare("d", {"kind": "soma", "uri": str(path)}, tmp_path / "soma", "f")
    assert sorted(path.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


def test_id_columns_can_be_chosen(store):
    manifest = locate(store[0], obs_id="soma_joinid", var_id="rank")
    assert (manifest.obs_id, manifest.var_id) == ("soma_joinid", "rank")
    with pytest.raises(SomarayError, match="var_id 'gene' is not a column: expected one of rank, soma_joinid, var_id"):
        locate(store[0], var_id="gene")


def test_relative_paths_count_from_the_current_directory(store, monkeypatch):
    path, _ = store
    monkeypatch.chdir(path.parent)
    assert locate("soma").uri == str(path)
    check_entry({"kind": "soma", "uri": "soma"})
    assert is_remote("s3://bucket/x")
    assert absolute_uri("s3://bucket/x") == "s3://bucket/x"
    assert absolute_uri(f"file://{path}") == str(path)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"measurement": "ADT"}, "measurement 'ADT' is not in the experiment: expected one of RNA"),
        ({"layer": "counts"}, "layer 'counts' is not in the experiment: expected one of raw"),
        ({"obs_filter": "nothing == 1"}, "obs_filter 'nothing == 1': 'Column nothing does not exist in schema'"),
        ({"obs_filter": "depth = 1"}, "obs_filter 'depth = 1': Could not parse .*depth = 1 \\(invalid syntax"),
        ({"var_filter": "rank <"}, "var_filter 'rank <': Could not parse"),
        ({"obs_filter": "depth"}, "obs_filter 'depth': "),
        ({"obs_filter": "depth > 1000"}, "obs_filter 'depth > 1000' leaves no cell"),
        ({"var_filter": "rank > 1000"}, "var_filter 'rank > 1000' leaves no gene"),
    ],
)
def test_mistakes_are_told(store, entry, said):
    with pytest.raises(SomarayError, match=said) as caught:
        locate(store[0], **entry)
    assert str(store[0]) in str(caught.value)
    assert "site-packages" not in str(caught.value)


def test_what_is_no_experiment_is_told(store, tmp_path):
    with pytest.raises(SomarayError, match="there is no SOMA experiment here"):
        locate(tmp_path / "absent")
    with pytest.raises(SomarayError, match="is a SOMA DataFrame, expected an Experiment"):
        locate(store[0] / "obs")
    with pytest.raises(SomarayError, match="no such folder"):
        check_entry({"kind": "soma", "uri": str(tmp_path / "absent")})
    check_entry({"kind": "soma", "uri": "s3://bucket/soma"})


@pytest.fixture(scope="module")
def census(tmp_path_factory):
    """A store of Census's shape."""
    root = tmp_path_factory.mktemp("census")
    write_census(root)
    with tiledbsoma.Experiment.open(str(root / "census_data" / "homo_sapiens")) as experiment:
        return root, experiment.obs.read().concat().to_pandas()


def test_census_is_filtered_as_in_the_notes(census):
    root, obs = census
    manifest = prepare("heart", {"kind": "census", "version": "local", "tissue": "heart", "uri": str(root)}, None, "f")
    chosen = obs[obs["is_primary_data"] & (obs["tissue_general"] == "heart")]
    assert manifest.obs_filter == 'is_primary_data == True and tissue_general == "heart"'
    assert (manifest.n_obs, manifest.nnz) == (len(chosen), chosen["nnz"].sum())
    assert 0 < manifest.n_obs < 900
    assert (manifest.obs_id, manifest.var_id, manifest.tiledb) == ("soma_joinid", "feature_id", {})
    adata = read_whole(Source.from_manifest(manifest, {}, 1))
    assert adata.X.nnz == manifest.nnz


def test_further_filters_are_anded(census):
    root, obs = census
    entry = {
        "kind": "census", "version": "local", "uri": str(root), "obs_filter": "nnz < 20 or nnz > 60",
        "var_filter": "feature_length > 2000",
    }  # fmt: skip
    manifest = prepare("d", entry, None, "f")
    chosen = obs["is_primary_data"] & ((obs["nnz"] < 20) | (obs["nnz"] > 60))
    assert manifest.n_obs == chosen.sum()
    assert manifest.nnz == read_whole(Source.from_manifest(manifest, {}, 1)).X.nnz


def test_an_organism_that_is_not_there_is_told(census):
    entry = {"kind": "census", "version": "local", "uri": str(census[0]), "organism": "mus_musculus"}
    with pytest.raises(SomarayError, match="census_data/mus_musculus: there is no SOMA experiment here"):
        prepare("d", entry, None, "f")


def test_a_tissue_that_is_not_there_is_told(census):
    entry = {"kind": "census", "version": "local", "uri": str(census[0]), "tissue": "liver"}
    with pytest.raises(SomarayError, match='tissue_general == "liver".* leaves no cell'):
        prepare("d", entry, None, "f")


@pytest.fixture
def releases(census, tmp_path):
    """A list of versions as Census publishes it, with two aliases and a retracted version."""
    root, _ = census
    listed = {
        "latest": "2024-07-01",
        "V9": "latest",
        "2024-07-01": {"release_build": "2024-07-01", "soma": {"uri": f"{root}/", "s3_region": "eu-west-1"}},
        "2023-01-01": {"soma": {"uri": "s3://gone/"}, "flags": {"retracted": True}},
    }
    path = tmp_path / "release.json"
    path.write_text(json.dumps(listed))
    return path.as_uri()


@pytest.mark.parametrize("version", ["2024-07-01", "latest", "V9"])
def test_versions_are_resolved_and_read_anonymously_in_their_region(census, releases, version):
    manifest = prepare("d", {"kind": "census", "version": version, "releases": releases}, None, "f")
    assert manifest.uri == f"{census[0]}/census_data/homo_sapiens"
    assert manifest.tiledb == {"vfs.s3.no_sign_request": "true", "vfs.s3.region": "eu-west-1"}


def test_settings_go_before_those_of_the_list(releases):
    tiledb = {"vfs.s3.region": "us-east-1", "vfs.s3.no_sign_request": "false"}
    manifest = prepare("d", {"kind": "census", "version": "latest", "releases": releases, "tiledb": tiledb}, None, "f")
    assert manifest.tiledb == tiledb


def test_unknown_and_retracted_versions_are_told(releases):
    entry = {"kind": "census", "releases": releases}
    with pytest.raises(
        SomarayError,
        match="dataset 'd': version '2020-01-01' is not one of Census's: expected one of 2024-07-01, V9, latest$",
    ):
        prepare("d", {**entry, "version": "2020-01-01"}, None, "f")
    with pytest.raises(SomarayError, match="version '2023-01-01' of Census was retracted: expected one of 2024-07-01"):
        prepare("d", {**entry, "version": "2023-01-01"}, None, "f")


def test_what_is_no_list_of_versions_is_told(tmp_path):
    for text, said in [
        ("<html>", "in JSON"),
        ("[1]", "expected a JSON mapping"),
        ('{"v": {"soma": 3}}', "names no place"),
    ]:
        (tmp_path / "list").write_text(text)
        with pytest.raises(SomarayError, match=f"releases .*list.*{said}"):
            prepare("d", {"kind": "census", "version": "v", "releases": (tmp_path / "list").as_uri()}, None, "f")


def test_an_unreachable_network_is_one_clear_error():
    """By a port of loopback where nothing listens."""
    entry = {"kind": "census", "version": "stable", "releases": "http://127.0.0.1:1/release.json"}
    with pytest.raises(SomarayError, match="dataset 'd': version 'stable': .* network.*refused.* give the key uri"):
        prepare("d", entry, None, "f")


def test_the_list_is_read_as_cellxgene_census_reads_it(s3, releases, monkeypatch):
    """The library's own reading is the contract for where versions and aliases lead."""
    from cellxgene_census import _release_directory

    s3.create_bucket("list")
    s3.put("list", "release.json", Path(releases.removeprefix("file://")).read_bytes())
    url = f"{s3.url}/list/release.json"
    monkeypatch.setattr(_release_directory, "CELL_CENSUS_RELEASE_DIRECTORY_URL", url)
    assert own_list() == url
    for version, described in cellxgene_census.get_census_version_directory().items():
        assert find_release(version, url) == (described["soma"]["uri"], described["soma"]["s3_region"])
