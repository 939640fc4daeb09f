"""From a catalogue entry to a dataset that runs can open, and its manifest."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from somaray.config import Settings
from somaray.errors import SomarayError
from somaray.records import Manifest
from somaray.validation import Origins


def check_entry(entry: Mapping[str, Any]) -> None:
    """Check, quickly and without heavy imports, what can be known of a catalogue entry before anything runs.

    Raises
    ------
    SomarayError
        If sizes do not fit each other, a file or a local experiment is not there, or a file's layer holds no raw counts.
    """
    kind = entry["kind"]
    if kind == "synthetic":
        from somaray.datasets.sizes import check_size

        check_size(entry["n_obs"], entry["n_vars"], entry.get("nnz_per_obs", 1500))
    elif kind == "h5ad":
        from somaray.datasets.h5ad_checks import check_h5ad

        check_h5ad(Path(entry["path"]).expanduser(), entry.get("layer", "X"))
    elif entry.get("uri") and "://" not in entry["uri"] and not Path(entry["uri"]).expanduser().is_dir():
        raise SomarayError(f"uri {entry['uri']!r}: no such folder, expected a SOMA experiment or a URI such as s3://…")


def check_datasets(settings: Settings, files: Sequence[str | Path]) -> None:
    """Check the entries of all datasets that runs need, so that a mistake is told before anything runs.

    Parameters
    ----------
    files
        Configuration files in the order they were merged, to name in errors.

    Raises
    ------
    SomarayError
        At the first mistake, naming file, key and value.
    """
    for name in settings.datasets:
        try:
            check_entry(settings.catalogue[name])
        except SomarayError as error:
            raise Origins(files).error(("catalogue", name), str(error)) from error


def prepare(name: str, entry: Mapping[str, Any], store_dir: Path | None, fingerprint: str) -> Manifest:
    """Make or locate a dataset.

    Parameters
    ----------
    name
        Its name in the catalogue.
    entry
        The catalogue's entry: `kind` and that kind's keys.
    store_dir
        Where kinds that write (`synthetic`, `h5ad`) put their SOMA experiment; what is there is replaced, and only by a whole
        one. The others ignore it.
    fingerprint
        Put into the manifest.

    Raises
    ------
    SomarayError
        At any mistake in the entry or in the data it names.
    """
    from somaray.provenance import provenance

    started = time.perf_counter()
    try:
        fields = _MAKERS[entry["kind"]](name, entry, store_dir)
    except SomarayError as error:
        raise SomarayError(f"dataset {name!r}: {error}") from error
    return Manifest(
        name=name,
        kind=entry["kind"],
        seconds=time.perf_counter() - started,
        fingerprint=fingerprint,
        provenance=provenance(),
        **fields,
    )


def _synthetic(name: str, entry: Mapping[str, Any], store_dir: Path | None) -> dict[str, Any]:
    from somaray.datasets.count_model import CountModel
    from somaray.datasets.synthetic import write_synthetic

    seed, layout = entry.get("seed", 0), entry.get("layout", "census")
    model = CountModel(entry["n_obs"], entry["n_vars"], entry.get("nnz_per_obs", 1500), seed)
    with _written_whole(store_dir) as uri:
        write_synthetic(uri, model, layout, progress=_progress(name))
    sizes = f"{model.n_obs} cells, {model.n_vars} genes, {model.nnz_per_obs:g} non-zeros a cell"
    made_by = f"drawn by somaray: {sizes}, seed {seed}"
    return _written(store_dir, "soma_joinid", "feature_id", layout, made_by)


def _h5ad(name: str, entry: Mapping[str, Any], store_dir: Path | None) -> dict[str, Any]:
    from somaray.datasets.ingest import OBS_ID, VAR_ID, ingest_h5ad

    path, layer, layout = Path(entry["path"]).expanduser(), entry.get("layer", "X"), entry.get("layout", "census")
    with _written_whole(store_dir) as uri:
        for note in ingest_h5ad(uri, path, layer, layout, _progress(name)).notes:
            print(f"dataset {name}: {note}", flush=True)
    return _written(store_dir, OBS_ID, VAR_ID, layout, f"ingested from {path}, layer {layer}")


def _written(store_dir: Path | None, obs_id: str, var_id: str, layout: str, made_by: str) -> dict[str, Any]:
    from somaray.datasets.census_schema import LAYER, MEASUREMENT
    from somaray.datasets.locate import absolute_uri, locate

    located = locate(absolute_uri(str(store_dir)), MEASUREMENT, LAYER, None, None, obs_id, var_id, {})
    return {**vars(located), "layout": layout, "made_by": made_by}


def _soma(name: str, entry: Mapping[str, Any], store_dir: Path | None) -> dict[str, Any]:
    from somaray.datasets.locate import locate_soma

    return {**vars(locate_soma(entry)), "layout": "as found", "made_by": "located"}


def _census(name: str, entry: Mapping[str, Any], store_dir: Path | None) -> dict[str, Any]:
    from somaray.datasets.locate import locate_census

    made_by = f"located in Census {entry['version']}"
    return {**vars(locate_census(entry)), "layout": "as found", "made_by": made_by}


_MAKERS: dict[str, Callable[[str, Mapping[str, Any], Path | None], dict[str, Any]]] = {
    "synthetic": _synthetic,
    "h5ad": _h5ad,
    "soma": _soma,
    "census": _census,
}


@contextmanager
def _written_whole(store_dir: Path | None) -> Iterator[Path]:
    """Give a sibling to write to, and put it in the place of `store_dir` once it is whole."""
    if store_dir is None:
        raise ValueError("this kind of dataset is written and needs store_dir")
    part = store_dir.with_name(f".{store_dir.name}.part")
    store_dir.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    try:
        yield part.absolute()
        shutil.rmtree(store_dir, ignore_errors=True)
        part.rename(store_dir)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _progress(name: str) -> Callable[[int, int], None]:
    def show(done: int, of_all: int) -> None:
        print(f"dataset {name}: {done:,} of {of_all:,} cells written", flush=True)

    return show
