"""A prepared dataset as methods see it: where it is, what of it counts, and how to open it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from somaray.records import Manifest

if TYPE_CHECKING:
    import tiledbsoma


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

    @classmethod
    def from_manifest(cls, manifest: Manifest, tiledb: Mapping[str, str], tile_threads: int | None) -> "Source":
        """Make the source of one run.

        Parameters
        ----------
        manifest
            The dataset's.
        tiledb
            The run's settings; they go before the manifest's.
        tile_threads
            Threads of TileDB, for reading and for computing each; None leaves TileDB its own choice. It goes before both.
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
