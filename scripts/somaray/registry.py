"""The methods there are, by name: one line each, nothing imported until a run needs it."""

from dataclasses import dataclass

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
    """

    module: str
    summary: str
    chunked: bool = True
    flavors: tuple[str, ...] = FLAVORS


METHODS = {
    "soma-dask": Method("somaray.methods.soma_dask", "to_anndata with Dask, then Scanpy, as the original notes ran it"),
    "in-memory": Method(
        "somaray.methods.in_memory", "the same calls on X read whole; also the reference", chunked=False
    ),
    "one-pass": Method(
        "somaray.methods.one_pass", "sums by gene straight from X, read as few times as the flavour allows"
    ),
}
