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
    """A run of the workflow with credentials in its environment and requests that are signed with them."""
    organism = write_census(tmp_path_factory.mktemp("census"))
    s3.create_bucket("census")
    s3.upload(organism, "census", f"{ROOT}/census_data/homo_sapiens", public=False)
    listed = {"2024-07-01": {"soma": {"uri": f"s3://census/{ROOT}/", "s3_region": "us-west-2"}}}
    s3.put("census", "release.json", json.dumps(listed).encode())
    here = {"releases": f"{s3.url}/census/release.json", "tiledb": {**s3.tiledb, "vfs.s3.no_sign_request": False}}
    less = {
        "catalogue": {"heart": here, "lung": here}, "datasets": ["heart"], "methods": ["one-pass", "soma-dask", "in-memory"],
        "chunk_sizes": [100], "parallelism": ["1x1x1"], "replicates": 1, "exclude": [], "runs": {},
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


def test_every_method_agrees_on_the_notes_query(made):
    manifest = json.loads((made.folder / "results/datasets/heart/manifest.json").read_text())
    assert manifest["obs_filter"] == 'is_primary_data == True and tissue_general == "heart"'
    assert len(manifest["obs_columns"]) == 28
    rows = list(csv.DictReader((made.folder / "results/tables/runs.csv").open()))
    assert {row["method"] for row in rows} == {"one-pass", "soma-dask", "in-memory"}
    for row in rows:
        assert (row["status"], row["genes_in_common"]) == ("ok", "40"), row
        assert int(row["vfs_read_bytes"]) > 10_000
        assert int(row["vfs_reads"]) > 10
    assert "TileDB read" in (made.folder / "results/tables/runs.md").read_text()


def test_no_file_holds_a_credential(made, s3):
    assert any(request["signed"] for request in s3.requests() if "/census/" in request["path"])
    left = [path for path in made.folder.parent.rglob("*") if path.is_file()]
    assert {".bin", ".json", ".log"} <= {path.suffix for path in left}
    found = [str(path) for path in left for secret in SECRETS.values() if secret.encode() in Path(path).read_bytes()]
    assert found == []
