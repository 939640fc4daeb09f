"""A prepared dataset as methods see it: where it is, what of it counts, and how to open it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from somaray.errors import SomarayError
from somaray.records import Manifest

if TYPE_CHECKING:
    import tiledbsoma
    from tiledbsoma import AxisColumnNames


@dataclass(frozen=True)
class Source:
    """Opens a dataset; cheap to make and to send to another process.

    Parameters
    ----------
    uri, measurement, layer
        Experiment, and where X lies in it.
    obs_filter, var_filter
        SOMA value filters, None for all.
    obs_id, var_id
        Columns that name cells and genes.
    n_obs, n_vars
        Cells and genes that the filters leave.
    tiledb
        TileDB's settings, all text.
    obs_columns, var_columns
        Columns to read into an AnnData beside those that a method needs; None for all.
    exported
        AnnData file of the same cells and genes, for a method that reads one.
    """

    uri: str
    measurement: str
    layer: str
    obs_filter: str | None
    var_filter: str | None
    obs_id: str
    var_id: str
    n_obs: int
    n_vars: int
    tiledb: Mapping[str, str] = field(default_factory=dict)
    obs_columns: tuple[str, ...] | None = None
    var_columns: tuple[str, ...] | None = None
    exported: str | None = None

    @classmethod
    def from_manifest(
        cls,
        manifest: Manifest,
        tiledb: Mapping[str, str],
        tile_threads: int | None,
        obs_columns: tuple[str, ...] | None = None,
        var_columns: tuple[str, ...] | None = None,
        exported: str | None = None,
    ) -> "Source":
        """Make the source of one run.

        Parameters
        ----------
        manifest
            The dataset's.
        tiledb
            The run's settings; they go before the manifest's.
        tile_threads
            Threads of TileDB, for reading and for computing each; None leaves TileDB its own choice. It goes before both.
        obs_columns, var_columns
            The run's settings.
        exported
            Where the dataset was exported to, if the method reads that.
        """
        threads = {}
        if tile_threads is not None:
            threads = {f"sm.{kind}_concurrency_level": str(tile_threads) for kind in ("io", "compute")}
        return cls(
            uri=manifest.uri,
            measurement=manifest.measurement,
            layer=manifest.layer,
            obs_filter=manifest.obs_filter,
            var_filter=manifest.var_filter,
            obs_id=manifest.obs_id,
            var_id=manifest.var_id,
            n_obs=manifest.n_obs,
            n_vars=manifest.n_vars,
            tiledb={**manifest.tiledb, **tiledb, **threads},
            obs_columns=obs_columns,
            var_columns=var_columns,
            exported=exported,
        )

    def context(self) -> "tiledbsoma.SOMATileDBContext":
        """Make a context with the settings; it has thread pools of its own."""
        import tiledbsoma

        return tiledbsoma.SOMATileDBContext(tiledb_config=dict(self.tiledb))

    def open(self) -> "tiledbsoma.Experiment":
        """Open the experiment for reading."""
        import tiledbsoma

        return tiledbsoma.Experiment.open(self.uri, context=self.context())

    def query(self, experiment: "tiledbsoma.Experiment") -> "tiledbsoma.ExperimentAxisQuery":
        """Query the cells and genes that the filters leave; nothing is read yet."""
        import tiledbsoma

        return experiment.axis_query(
            self.measurement,
            obs_query=tiledbsoma.AxisQuery(value_filter=self.obs_filter),
            var_query=tiledbsoma.AxisQuery(value_filter=self.var_filter),
        )

    def column_names(
        self, experiment: "tiledbsoma.Experiment", batch_key: str | None = None
    ) -> "AxisColumnNames | None":
        """Columns of obs and var for `to_anndata`: those chosen, and those that name cells, genes and batches.

        Raises
        ------
        SomarayError
            If a chosen column is not there.
        """
        if self.obs_columns is None and self.var_columns is None:
            return None
        obs, var = experiment.obs.keys(), experiment.ms[self.measurement].var.keys()
        return {
            "obs": _chosen("obs", self.obs_columns, obs, (self.obs_id, batch_key), self.uri),
            "var": _chosen("var", self.var_columns, var, (self.var_id,), self.uri),
        }


def _chosen(
    axis: str, chosen: tuple[str, ...] | None, there: Collection[str], needed: Iterable[str | None], uri: str
) -> list[str] | None:
    """The columns to read of an axis; None for all. A needed one that is not there is left to the method to tell."""
    if chosen is None:
        return None
    missing = [name for name in chosen if name not in there]
    if missing:
        raise SomarayError(
            f"{axis}_columns: {uri} has no {axis} column {missing[0]!r}: expected some of {', '.join(there)}"
        )
    return list(dict.fromkeys([*(name for name in needed if name is not None and name in there), *chosen]))
