"""Experiments on S3: read with and without credentials, counted, equal to local ones, and every mistake told in a line."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import msgspec
import pandas as pd
import pytest

from somaray.cluster import open_client
from somaray.datasets.prepare import prepare
from somaray.datasets.store import Source
from somaray.errors import SomarayError
from somaray.matrix import Run
from somaray.methods import in_memory, one_pass
from somaray.methods.onepass import ordered
from somaray.records import write_record
from somaray.settings import DaskSettings, HvgSettings
from somaray.units import Parallelism
from support.census_store import write_census
from support.orders import order_for, run
from support.s3 import CREDENTIALS
from support.small_store import no_phase

PREFIX = "cell-census/2024-07-01/soma"


@pytest.fixture(scope="module")
def places(s3, tmp_path_factory):
    """The same experiment in a folder, in a public bucket and in a private one."""
    organism = write_census(tmp_path_factory.mktemp("census"))
    uris = {"local": str(organism)}
    for bucket, public in (("public", True), ("private", False)):
        s3.create_bucket(bucket)
        uris[bucket] = s3.upload(organism, bucket, f"{PREFIX}/census_data/homo_sapiens", public)
    listed = {
        "stable": "2024-07-01",
        "2024-07-01": {"soma": {"uri": f"s3://public/{PREFIX}/", "s3_region": "us-west-2"}},
    }
    s3.put("public", "release.json", json.dumps(listed).encode())
    return uris


@pytest.fixture(autouse=True)
def without_credentials(monkeypatch, tmp_path):
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    # Neither a profile of whoever runs the tests, nor the keys of a cloud machine.
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def locate(uri, tiledb, **entry):
    return prepare("d", {"kind": "soma", "uri": uri, "tiledb": tiledb, **entry}, None, "f")


def census_entry(s3):
    return {
        "kind": "census", "version": "stable", "tissue": "heart", "releases": f"{s3.url}/public/release.json",
        "tiledb": {name: value for name, value in s3.tiledb.items() if name != "vfs.s3.region"},
    }  # fmt: skip


def test_the_same_is_found_as_on_disk(s3, places):
    local, remote = locate(places["local"], {}), locate(places["public"], s3.anonymous)
    assert (remote.uri, remote.tiledb) == (places["public"], s3.anonymous)
    same = ("n_obs", "n_vars", "nnz", "obs_id", "var_id", "obs_columns", "size_bytes")
    assert {name: getattr(remote, name) for name in same} == {name: getattr(local, name) for name in same}
    asked = [each for each in s3.requests() if each["path"].startswith("/public/") and each["method"] != "PUT"]
    assert asked
    assert not any(request["signed"] for request in asked)


def test_census_is_found_by_its_list_of_versions(s3, places):
    manifest = prepare("heart", census_entry(s3), None, "f")
    assert manifest.uri == places["public"]
    assert manifest.tiledb == s3.anonymous
    assert manifest.obs_filter == 'is_primary_data == True and tissue_general == "heart"'
    local = locate(places["local"], {}, obs_filter=manifest.obs_filter)
    assert (manifest.n_obs, manifest.nnz) == (local.n_obs, local.nnz)
    assert 0 < manifest.n_obs < 900


def test_credentials_come_from_the_environment(s3, places, monkeypatch):
    with s3.keys_checked():
        for name, value in s3.key.environment().items():
            monkeypatch.setenv(name, value)
        manifest = locate(places["private"], s3.tiledb)
        assert manifest.n_obs == 900
        assert not any(part in str(manifest) for part in (s3.key.id, s3.key.secret))
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "no")
        with pytest.raises(
            SomarayError, match="s3://private/.*: the credentials are refused \\(SignatureDoesNotMatch\\)"
        ):
            locate(places["private"], s3.tiledb)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
        with pytest.raises(SomarayError, match="refused \\(InvalidAccessKeyId\\): expected them in the environment"):
            locate(places["private"], s3.tiledb)


def test_credentials_come_from_a_profile(s3, places, tmp_path):
    """In a process of its own: the S3 client reads profiles once."""
    profile = f"[lab]\naws_access_key_id = {s3.key.id}\naws_secret_access_key = {s3.key.secret}\n"
    (tmp_path / "credentials").write_text(profile)
    program = "import json, sys; from somaray.datasets.locate import locate_soma; "
    program += "print(locate_soma(json.loads(sys.argv[1])).n_obs)"
    entry = json.dumps({"uri": places["private"], "tiledb": s3.tiledb})
    with s3.keys_checked():
        done = subprocess.run(
            [sys.executable, "-c", program, entry],
            env={**os.environ, "AWS_PROFILE": "lab"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout.strip() == "900", done.stderr


def test_missing_credentials_are_told(s3, places):
    with pytest.raises(SomarayError, match="dataset 'd': s3://private/.*no access: credentials are missing.*AWS_PROF"):
        locate(places["private"], s3.tiledb)
    with pytest.raises(SomarayError, match="no access for anonymous requests: .*vfs.s3.no_sign_request to false"):
        locate(places["private"], s3.anonymous)


def test_wrong_places_are_told(s3, places):
    with pytest.raises(
        SomarayError, match="s3://nowhere/x: there is no such bucket on 127.0.0.1:.*check uri, and tiledb"
    ):
        locate("s3://nowhere/x", s3.anonymous)
    with pytest.raises(SomarayError, match="s3://public/x: there is no SOMA experiment here"):
        locate("s3://public/x", s3.anonymous)
    entry = {**census_entry(s3), "releases": f"{s3.url}/public/none.json"}
    with pytest.raises(SomarayError, match="dataset 'd': version 'stable': the list of Census versions cannot be had"):
        prepare("d", entry, None, "f")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"vfs.s3.endpoint_override": "127.0.0.1:1"}, "Could not connect to server"),
        ({"vfs.s3.scheme": "https"}, "SSL connect error"),
        ({"vfs.s3.endpoint_override": "no-such-host.invalid"}, "Could not resolve hostname"),
    ],
)
def test_an_endpoint_that_is_none_is_told(s3, places, changed, reason):
    tiledb = {**s3.anonymous, **changed}
    began = time.monotonic()
    with pytest.raises(
        SomarayError, match=f"does not answer \\({reason}\\): check the network and tiledb: .*us-west-2"
    ):
        locate(places["public"], tiledb)
    assert time.monotonic() - began < 30


def test_an_endpoint_that_keeps_silent_is_left(s3, places):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silence = {
            "vfs.s3.endpoint_override": f"127.0.0.1:{silent.getsockname()[1]}",
            "vfs.s3.request_timeout_ms": "300",
        }
        with pytest.raises(SomarayError, match="does not answer"):
            locate(places["public"], {**s3.anonymous, **silence})


HVG = {
    "seurat": HvgSettings(n_top_genes=40),
    "cell_ranger": HvgSettings(flavor="cell_ranger", n_top_genes=40, batch_key="sex"),
    "seurat_v3": HvgSettings(flavor="seurat_v3", n_top_genes=40, span=0.5),
}
FILTERS = {"obs_filter": "nnz > 15 and tissue_general != 'lung'", "var_filter": "feature_length > 2000"}


def sources(s3, places):
    """A filtered experiment on disk and on S3."""
    local, remote = locate(places["local"], {}, **FILTERS), locate(places["public"], s3.anonymous, **FILTERS)
    small = {"soma.init_buffer_bytes": "1048576"}
    return Source.from_manifest(local, small, 1), Source.from_manifest(remote, small, 1)


@pytest.mark.parametrize("hvg", HVG.values(), ids=HVG)
def test_one_pass_gives_the_same_bytes_as_on_disk(s3, places, hvg):
    settings = Run("d", "one-pass", 100, Parallelism(0, 2, 1))
    local, remote = (one_pass.compute_hvg(source, settings, hvg, None, no_phase) for source in sources(s3, places))
    pd.testing.assert_frame_equal(local, remote, check_exact=True)
    assert local["highly_variable"].sum() == 40


def test_one_pass_on_s3_outlives_a_worker(s3, places, tmp_path, monkeypatch):
    settings, hvg = Run("d", "one-pass", 100, Parallelism(2, 1, 1)), HVG["seurat"]
    local, remote = sources(s3, places)
    wanted = one_pass.compute_hvg(local, settings, hvg, None, no_phase)
    killed = threading.Event()
    with open_client(settings.parallelism, DaskSettings(), tmp_path) as client:
        (pid, *_) = client.run(os.getpid).values()
        original = ordered._window

        def killing(*arguments):
            for count, result in enumerate(original(*arguments)):
                if count == 2 and not killed.is_set():
                    os.kill(pid, signal.SIGKILL)
                    killed.set()
                yield result

        monkeypatch.setattr(ordered, "_window", killing)
        found = one_pass.compute_hvg(remote, settings, hvg, client, no_phase)
    assert killed.is_set()
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)
    whole = in_memory.compute_hvg(remote, Run("d", "in-memory"), hvg, None, no_phase)
    assert list(found.index[found["highly_variable"]]) == list(whole.index[whole["highly_variable"]])


def order_on(manifest, folder, method, parallelism=None, **tiledb):
    order = order_for(folder, f"somaray.methods.{method}", None, parallelism)
    write_record(folder / "manifest.json", manifest)
    return replace(order, job=msgspec.structs.replace(order.job, tiledb=tiledb, hvg=HVG["seurat"]))


@pytest.mark.parametrize("parallelism", ["1x2x1", "0x2x1"])
def test_every_request_and_byte_is_counted(s3, places, tmp_path, parallelism):
    """Without its read-ahead every read of TileDB is a request, so that the server's count is the known answer."""
    manifest = locate(places["public"], s3.anonymous, **FILTERS)
    began = len(s3.requests())
    execution = run(order_on(manifest, tmp_path, "one_pass", parallelism, **{"vfs.read_ahead_size": "0"}))
    assert execution.status == "ok", execution.reason
    answered = [request for request in s3.requests()[began:] if request["method"] == "GET" and not request["listing"]]
    assert {request["status"] for request in answered} == {206}
    assert execution.vfs_reads == len(answered)
    assert execution.vfs_read_bytes == sum(request["body_bytes"] for request in answered)
    by_process = [process.vfs_reads for process in execution.processes if process.role != "other"]
    assert sum(by_process) == execution.vfs_reads
    assert all(by_process)


def test_storage_that_fails_a_run_is_told_in_its_row(s3, places, tmp_path):
    manifest = locate(places["public"], s3.anonymous)
    execution = run(order_on(manifest, tmp_path, "in_memory", **{"vfs.s3.endpoint_override": "127.0.0.1:1"}))
    assert execution.status == "failed"
    assert execution.reason.startswith(f"{places['public']}: 127.0.0.1:1 does not answer (Could not connect to server)")
    assert execution.vfs_reads is None
