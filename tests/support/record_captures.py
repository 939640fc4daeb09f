"""Record the small captures of `tests/data/captures`, one of each method:

    PYTHONPATH=tests uv run python -m support.record_captures [METHOD …]

A dataset of a few hundred cells is made and each method runs on it twice in one process, the second time under memray, so that
imports and compilation are not in the captures. Dask's threads are inside that process. Captures are compressed, and the
folders of this machine in them are renamed, to names as long: all else stays as memray wrote it.
"""

import json
import lzma
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from somaray.allocations.read import read_capture
from somaray.allocations.summarise import group_bytes
from somaray.datasets.export import export
from somaray.datasets.prepare import prepare
from somaray.datasets.store import Source
from somaray.matrix import Run
from somaray.records import Manifest, read_record, write_record
from somaray.registry import METHODS
from somaray.settings import DaskSettings, HvgSettings
from somaray.units import Parallelism

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "tests" / "data" / "captures"
DATASET = {"kind": "synthetic", "n_obs": 240, "n_vars": 120, "nnz_per_obs": 30, "seed": 3, "layout": "census"}
BUFFER_BYTES = 2**20
CHUNK_SIZE = 240


def record(method: str, manifest: Path, capture: Path) -> None:
    """Run a method on a prepared dataset, then again into a capture."""
    import memray

    from somaray.cluster import open_client

    module = import_module(METHODS[method].module)
    tiledb = {"soma.init_buffer_bytes": str(BUFFER_BYTES)}
    source = Source.from_manifest(read_record(manifest, Manifest), tiledb, 1)
    if kind := METHODS[method].export:
        exported = manifest.with_name(f"x.{kind}")
        export(source, exported)
        source = replace(source, exported=str(exported))
    parallelism = Parallelism(0, 1, 1) if METHODS[method].chunked else None
    run = Run("tiny", method, CHUNK_SIZE if METHODS[method].chunked else None, parallelism)
    flavor = METHODS[method].flavors[0]
    hvg = HvgSettings(flavor=flavor, n_top_genes=20)
    with tempfile.TemporaryDirectory() as scratch:
        opened = nullcontext() if parallelism is None else open_client(parallelism, DaskSettings(), scratch)
        with opened as client:
            module.compute_hvg(source, run, hvg, client, lambda name: nullcontext())
            destination = memray.FileDestination(capture, overwrite=True, compress_on_exit=False)
            with memray.Tracker(destination=destination):
                module.compute_hvg(source, run, hvg, client, lambda name: nullcontext())


def renamed(content: bytes) -> bytes:
    """The capture without the names of this machine's folders."""
    for path, name in ((ROOT, "/checkout"), (Path(sys.base_prefix), "/python")):
        content = content.replace(str(path).encode(), name.ljust(len(str(path)), "-")[: len(str(path))].encode())
    return content


def expect(method: str, content: bytes) -> None:
    """Note what each group has, total and held, in `groups.json`: look at what changes there before it is committed."""
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "capture.bin"
        capture.write_bytes(content)
        groups = group_bytes(read_capture(capture))
    path = CAPTURES / "groups.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[method] = {group.name: [group.total_bytes, group.held_bytes] for group in groups if group.n_allocations}
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def main(methods: list[str]) -> None:
    """Record the methods named, or all."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "manifest.json"
        write_record(manifest, prepare("tiny", DATASET, Path(folder) / "soma", ""))
        for method in methods or METHODS:
            capture = Path(folder) / f"{method}.bin"
            command = [sys.executable, "-m", "support.record_captures", "--one", method, str(manifest), str(capture)]
            subprocess.run(command, check=True)
            content = renamed(capture.read_bytes().rstrip(b"\0") + bytes(64))
            compressed = CAPTURES / f"{method}.bin.xz"
            compressed.write_bytes(lzma.compress(content, preset=9))
            print(f"{compressed.name}: {compressed.stat().st_size:,} bytes")
            expect(method, content)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        record(sys.argv[2], *map(Path, sys.argv[3:]))
    else:
        main(sys.argv[1:])
