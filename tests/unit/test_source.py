"""A source carries the settings of its run."""

import pickle

from somaray.datasets.store import Source
from somaray.provenance import provenance
from somaray.records import Manifest


def manifest(**changes):
    fields = {
        "name": "d", "kind": "soma", "uri": "s3://bucket/d", "measurement": "RNA", "layer": "raw", "obs_filter": "a == 1",
        "var_filter": None, "obs_id": "obs_id", "var_id": "var_id", "n_obs": 3, "n_vars": 2, "nnz": 4, "stored_n_obs": 5,
        "stored_n_vars": 2, "size_bytes": None, "obs_columns": ("a",), "layout": "as found", "made_by": "located",
        "seconds": 0.1, "fingerprint": "f", "tiledb": {"vfs.s3.region": "eu-west-1", "a": "manifest", "b": "manifest"},
        "provenance": provenance(),
    }  # fmt: skip
    return Manifest(**{**fields, **changes})


def test_run_settings_go_before_the_datasets_and_threads_before_both():
    settings = {"b": "run", "sm.io_concurrency_level": "9"}
    source = Source.from_manifest(manifest(), settings, 3)
    assert source.tiledb == {
        "vfs.s3.region": "eu-west-1",
        "a": "manifest",
        "b": "run",
        "sm.io_concurrency_level": "3",
        "sm.compute_concurrency_level": "3",
    }
    assert source.context().tiledb_config["sm.compute_concurrency_level"] == "3"


def test_without_threads_tiledb_chooses():
    source = Source.from_manifest(manifest(tiledb={}), {}, None)
    assert source.tiledb == {}
    assert (source.uri, source.obs_filter, source.n_obs) == ("s3://bucket/d", "a == 1", 3)


def test_a_source_travels_to_workers():
    source = Source.from_manifest(manifest(), {}, 2)
    assert pickle.loads(pickle.dumps(source)) == source
