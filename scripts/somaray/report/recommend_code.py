"""Python that does what a run did, to copy: the cluster, the reading, and Scanpy's calls, as the methods have them."""

from typing import Any

import msgspec

from somaray.cluster import library_thread_environment
from somaray.matrix import Run
from somaray.records import Execution, Manifest
from somaray.registry import METHODS
from somaray.report.python_text import indented, python_text, with_mapping
from somaray.report.recommend_cluster import cluster_imports, cluster_lines
from somaray.settings import HvgSettings


def code_of(run: Run, manifest: Manifest, like: Execution, exported: str | None = None) -> str:
    """Write a program that picks genes as a run does, the table of genes in `genes`.

    Parameters
    ----------
    like
        An execution with the run's HVG, TileDB and other settings.
    exported
        AnnData file of the dataset, for a method that reads one.
    """
    body = _METHODS[run.method](run, manifest, like, exported)
    environment = {**library_thread_environment(like.dask), **_own_environment(like)}
    lines = ["import os", "", "# Before any library is loaded; Dask's workers inherit it."]
    lines += with_mapping("os.environ.update(", environment, ")")
    lines += ["", *_imports(run, like), ""]
    if run.parallelism is None:
        return "\n".join([*lines, *body]) + "\n"
    lines += ['if __name__ == "__main__":', *indented(cluster_lines(run.parallelism, like.dask, environment))]
    return "\n".join([*lines, *indented(indented(body))]) + "\n"


def _own_environment(like: Execution) -> dict[str, str]:
    threads = library_thread_environment(like.dask)
    return {name: value for name, value in like.environment.items() if name not in threads}


def _imports(run: Run, like: Execution) -> list[str]:
    lines = {
        "soma-dask": ["import scanpy as sc", "import tiledbsoma"],
        "in-memory": ["import scanpy as sc", "import tiledbsoma"],
        "one-pass": [
            "from somaray.datasets.store import Source",
            "from somaray.matrix import run_from_path",
            "from somaray.methods.one_pass import compute_hvg",
            "from somaray.settings import HvgSettings",
        ],
        "census": ["import tiledbsoma", "from cellxgene_census.experimental.pp import highly_variable_genes"],
        "h5ad-dask": [
            "import anndata",
            "import h5py",
            "import scanpy as sc",
            "from anndata.experimental import read_elem_lazy",
        ],
        "zarr-dask": [
            "import anndata",
            "import scanpy as sc",
            "import zarr",
            "from anndata.experimental import read_elem_lazy",
        ],
    }[run.method]
    # Of the standard library first, as sorters of imports have it.
    own = ["from contextlib import nullcontext", ""] if run.method == "one-pass" else []
    cluster = [] if run.parallelism is None else cluster_imports(like.dask)
    return [*own, *sorted([*cluster, *lines], key=lambda line: (line.startswith("from somaray"), line.split()[1]))]


def _soma(run: Run, manifest: Manifest, like: Execution, inside: list[str]) -> list[str]:
    """Lines that open an experiment and query it, with `inside` done meanwhile."""
    return [
        *with_mapping("context = tiledbsoma.SOMATileDBContext(tiledb_config=", _tiledb(run, manifest, like), ")"),
        f"with tiledbsoma.Experiment.open({python_text(manifest.uri)}, context=context) as exp:",
        "    query = exp.axis_query(",
        f"        {python_text(manifest.measurement)},",
        f"        obs_query=tiledbsoma.AxisQuery(value_filter={python_text(manifest.obs_filter)}),",
        f"        var_query=tiledbsoma.AxisQuery(value_filter={python_text(manifest.var_filter)}),",
        "    )",
        *indented(inside),
    ]


def _tiledb(run: Run, manifest: Manifest, like: Execution) -> dict[str, str]:
    config = {**manifest.tiledb, **like.tiledb}
    if run.parallelism is not None:
        threads = str(run.parallelism.tile_threads)
        config |= {"sm.io_concurrency_level": threads, "sm.compute_concurrency_level": threads}
    return config


def _to_anndata(run: Run, manifest: Manifest, like: Execution, _: str | None) -> list[str]:
    lines = ["adata = query.to_anndata(", f"    {python_text(manifest.layer)},"]
    lines += [f"    obs_id_name={python_text(manifest.obs_id)},", f"    var_id_name={python_text(manifest.var_id)},"]
    columns = _columns(manifest, like)
    if columns:
        lines += [f"    column_names={python_text(columns)},"]
    if run.chunk_size is not None:
        lines += [f'    dask={{"chunk_size": {run.chunk_size}}},']
    return _soma(run, manifest, like, [*lines, ")", *_scanpy(like.hvg)])


def _columns(manifest: Manifest, like: Execution) -> dict[str, list[str]]:
    """What `Source.column_names` makes of the settings, of an axis that is not read whole."""
    named = {
        "obs": (like.obs_columns, (manifest.obs_id, like.hvg.batch_key)),
        "var": (like.var_columns, (manifest.var_id,)),
    }
    return {
        axis: list(dict.fromkeys([*(name for name in needed if name is not None), *chosen]))
        for axis, (chosen, needed) in named.items()
        if chosen is not None
    }


def _scanpy(hvg: HvgSettings) -> list[str]:
    lines = []
    if not hvg.flavor.startswith("seurat_v3"):
        target = "" if hvg.target_sum is None else f", target_sum={python_text(hvg.target_sum)}"
        lines += [f"sc.pp.normalize_total(adata{target})", "sc.pp.log1p(adata)"]
    arguments = ", ".join(
        f"{name}={python_text(value)}" for name, value in _changed(hvg).items() if name != "target_sum"
    )
    return [*lines, f"genes = sc.pp.highly_variable_genes(adata, inplace=False, {arguments})"]


def _changed(hvg: HvgSettings) -> dict[str, Any]:
    """The flavour, and what is not as by default, which is Scanpy's own."""
    usual = msgspec.structs.asdict(HvgSettings())
    return {
        name: value for name, value in msgspec.structs.asdict(hvg).items() if name == "flavor" or value != usual[name]
    }


def _one_pass(run: Run, manifest: Manifest, like: Execution, _: str | None) -> list[str]:
    fields = {
        name: getattr(manifest, name)
        for name in (
            "uri",
            "measurement",
            "layer",
            "obs_filter",
            "var_filter",
            "obs_id",
            "var_id",
            "n_obs",
            "n_vars",
        )
    }
    arguments = ", ".join(f"{name}={python_text(value)}" for name, value in _changed(like.hvg).items())
    return [
        *with_mapping("source = Source(**", {**fields, "tiledb": _tiledb(run, manifest, like)}, ")"),
        f"run = run_from_path({python_text(run.path)})",
        f"hvg = HvgSettings({arguments})",
        "genes = compute_hvg(source, run, hvg, client, lambda name: nullcontext())",
    ]


def _census(run: Run, manifest: Manifest, like: Execution, _: str | None) -> list[str]:
    hvg = like.hvg
    given = {"n_top_genes": hvg.n_top_genes, "layer": manifest.layer, "flavor": hvg.flavor, "span": hvg.span}
    arguments = ", ".join(
        f"{name}={python_text(value)}" for name, value in {**given, "batch_key": hvg.batch_key}.items()
    )
    inside = [f"genes = highly_variable_genes(query, {arguments})"]
    if manifest.var_id != "soma_joinid":
        inside += [
            "# It names genes by joinid.",
            f'var = query.var(column_names=["soma_joinid", {python_text(manifest.var_id)}]).concat().to_pandas()',
            f'genes.index = var.set_index("soma_joinid")[{python_text(manifest.var_id)}].loc[genes.index]',
        ]
    return _soma(run, manifest, like, inside)


def _file(run: Run, manifest: Manifest, like: Execution, exported: str | None) -> list[str]:
    h5ad = METHODS[run.method].export == "h5ad"
    opened = (
        f'h5py.File({python_text(exported)}, "r")'
        if h5ad
        else f'zarr.open_consolidated({python_text(exported)}, mode="r")'
    )
    return [
        f"file = {opened}",
        "adata = anndata.AnnData(",
        f'    X=read_elem_lazy(file["X"], chunks=({run.chunk_size}, -1)),',
        '    obs=anndata.io.read_elem(file["obs"]),',
        '    var=anndata.io.read_elem(file["var"]),',
        ")",
        *_scanpy(like.hvg),
    ]


_METHODS = {
    "soma-dask": _to_anndata,
    "in-memory": _to_anndata,
    "one-pass": _one_pass,
    "census": _census,
    "h5ad-dask": _file,
    "zarr-dask": _file,
}
