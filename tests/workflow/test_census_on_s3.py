"""The shipped Census configuration from end to end on a store of Census's shape; only the endpoint differs. No secret gets out."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from support.census_store import write_census
from support.workflow import TINY, Checkout

ROOT = "cell-census/2024-07-01/soma"
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIATELLTALEID000001",
    "AWS_SECRET_ACCESS_KEY": "telltalesecret0123456789abcdef0123456789",
}


@pytest.fixture(scope="module")
def made(s3, tmp_path_factory):
    """A run of the workflow with credentials in its environment: heart with signed requests, lung as Census is, without."""
    organism = write_census(tmp_path_factory.mktemp("census"))
    catalogue = {}
    for dataset, bucket in (("heart", "census"), ("lung", "open")):
        s3.create_bucket(bucket)
        s3.upload(organism, bucket, f"{ROOT}/census_data/homo_sapiens", public=bucket == "open")
        listed = {"2024-07-01": {"soma": {"uri": f"s3://{bucket}/{ROOT}/", "s3_region": "us-west-2"}}}
        s3.put(bucket, "release.json", json.dumps(listed).encode())
        # Reading without a signature is what a census entry does unasked.
        signed = {"vfs.s3.no_sign_request": False} if bucket == "census" else {}
        catalogue[dataset] = {"releases": f"{s3.url}/{bucket}/release.json", "tiledb": {**s3.tiledb, **signed}}
    less = {
        "catalogue": catalogue, "datasets": ["heart", "lung"], "methods": ["one-pass", "soma-dask", "in-memory"],
        "exclude": [{"dataset": "lung", "method": method} for method in ("soma-dask", "in-memory")],
        "chunk_sizes": [100], "parallelism": ["1x1x1"], "replicates": 1, "runs": {},
        "tiledb": {"soma.init_buffer_bytes": "4MiB"}, "hvg": {"n_top_genes": 40},
    }  # fmt: skip
    checkout = Checkout.make(tmp_path_factory.mktemp("workflow") / "somaray", TINY)
    (checkout.folder / "endpoint.yaml").write_text(yaml.safe_dump(less))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        files = ["--configfile", "config/census.yaml", "endpoint.yaml"]
        checkout.run("--cores", "2", "results/tables/runs.md", "results/tables/runs.csv", *files)
    return checkout


def signatures(s3, bucket: str) -> list[bool]:
    """Whether each request for the data in a bucket was signed; those that put them there are not asked about."""
    return [
        request["signed"]
        for request in s3.requests()
        if request["path"].startswith(f"/{bucket}/{ROOT}/") and request["method"] != "PUT"
    ]


def test_every_method_agrees_on_the_notes_query(made):
    manifest = json.loads((made.folder / "results/datasets/heart/manifest.json").read_text())
    assert manifest["obs_filter"] == 'is_primary_data == True and tissue_general == "heart"'
    assert len(manifest["obs_columns"]) == 28
    rows = list(csv.DictReader((made.folder / "results/tables/runs.csv").open()))
    ran = {(row["dataset"], row["method"]) for row in rows}
    assert ran == {("heart", "one-pass"), ("heart", "soma-dask"), ("heart", "in-memory"), ("lung", "one-pass")}
    for row in rows:
        assert (row["status"], row["genes_in_common"]) == ("ok", "40"), row
        assert int(row["vfs_read_bytes"]) > 10_000
        assert int(row["vfs_reads"]) > 10
    assert "TileDB read" in (made.folder / "results/tables/runs.md").read_text()


def test_what_is_public_is_asked_for_without_a_signature(made, s3):
    assert set(signatures(s3, "open")) == {False}


def test_no_file_holds_a_credential(made, s3):
    assert True in signatures(s3, "census")
    left = [path for path in made.folder.parent.rglob("*") if path.is_file()]
    assert {".bin", ".json", ".log"} <= {path.suffix for path in left}
    found = [str(path) for path in left for secret in SECRETS.values() if secret.encode() in Path(path).read_bytes()]
    assert found == []
