"""Where memory does not suffice, one pass really makes the reference, and it is Scanpy's."""

from somaray.agreement import compare, read_hvg
from somaray.config import Settings
from somaray.datasets.prepare import prepare
from somaray.datasets.store import Source
from somaray.matrix import Run
from somaray.measure import reference
from somaray.measure.orders import Outputs
from somaray.methods import in_memory
from somaray.records import Reference, read_record, write_record
from somaray.settings import HvgSettings, Limits, ProfileSettings
from support.small_store import no_phase


def test_one_pass_stands_in_for_scanpy_in_memory(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(reference, "PEAK_BYTES_PER_NONZERO", 10**9)
    entry = {"kind": "synthetic", "n_obs": 300, "n_vars": 200, "nnz_per_obs": 40, "seed": 5}
    manifest = prepare("small", entry, tmp_path / "soma", "")
    write_record(tmp_path / "manifest.json", manifest)
    hvg = HvgSettings(n_top_genes=30)
    limits = Limits(memory_bytes=4 * 2**30)
    settings = Settings({}, (), 1, hvg, ProfileSettings(), limits, ())
    outputs = Outputs(tmp_path / "reference.json", tmp_path / "hvg.parquet", tmp_path / "memory.parquet")
    with (tmp_path / "log").open("w") as log:
        reference.make_reference(settings, "small", tmp_path / "manifest.json", outputs, log)
    record = read_record(tmp_path / "reference.json", Reference)
    assert (record.method, record.genes_selected) == ("one-pass", 30), record.reason
    assert "allowed 4 GiB" in record.reason
    source = Source.from_manifest(manifest, {"soma.init_buffer_bytes": "16777216"}, 1)
    expected = in_memory.compute_hvg(source, Run("small", "in-memory"), hvg, None, no_phase)
    check = compare("capture", read_hvg(tmp_path / "hvg.parquet"), expected)
    assert (check.agrees, check.note) == (True, "")
