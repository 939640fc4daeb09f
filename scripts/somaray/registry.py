"""The methods there are, by name: one line each, nothing imported until a run needs it."""

from dataclasses import dataclass

SETTINGS = ("tiledb", "dask", "library_threads", "environment", "obs_columns", "var_columns")
"""What a variant can lay over a run; `dask` without its `library_threads`, which reach processes without Dask too."""

FLAVORS = ("seurat", "cell_ranger", "seurat_v3", "seurat_v3_paper")


@dataclass(frozen=True)
class Method:
    """Where a method's code lives and what shapes its runs.

    Parameters
    ----------
    module
        Module with `compute_hvg(source, run, hvg, client, phase) -> DataFrame`.
    summary
        What it does, in a few words.
    chunked
        Whether chunk size and parallelism mean anything to it; if not it has one run a dataset, `whole`.
    flavors
        HVG flavours it can do.
    unaffected_by
        Settings that mean nothing to it, of `SETTINGS`; a variant of nothing else does not multiply its runs.
    """

    module: str
    summary: str
    chunked: bool = True
    flavors: tuple[str, ...] = FLAVORS
    unaffected_by: tuple[str, ...] = ()


METHODS = {
    "soma-dask": Method("somaray.methods.soma_dask", "to_anndata with Dask, then Scanpy, as the original notes ran it"),
    "in-memory": Method(
        "somaray.methods.in_memory",
        "the same calls on X read whole; also the reference",
        chunked=False,
        unaffected_by=("dask",),
    ),
    "one-pass": Method(
        "somaray.methods.one_pass",
        "sums by gene straight from X, read as few times as the flavour allows",
        # It reads of obs and var what it needs, and nothing else.
        unaffected_by=("obs_columns", "var_columns"),
    ),
}
