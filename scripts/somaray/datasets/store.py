"""Open a prepared dataset the way a run wants it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from somaray.records import Manifest

if TYPE_CHECKING:
    import tiledbsoma

_THREAD_KEYS = ("sm.io_concurrency_level", "sm.compute_concurrency_level")


@dataclass(frozen=True)
class Source:
    """The cells of a dataset: where they are, which of them, and the TileDB settings to read them with.

    Picklable and cheap; nothing is open until it is asked to.
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
        """Lay a run's TileDB settings over those the dataset needs.

        Parameters
        ----------
        tile_threads
            TileDB's I/O and compute threads, in every process; None leaves TileDB its default, one a core.
        """
        threads = {} if tile_threads is None else dict.fromkeys(_THREAD_KEYS, str(tile_threads))
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
            tiledb={**manifest.tiledb, **threads, **tiledb},
        )

    def context(self) -> "tiledbsoma.SOMATileDBContext":
        """A new context with this source's settings."""
        import tiledbsoma

        return tiledbsoma.SOMATileDBContext(tiledb_config=dict(self.tiledb))

    def open(self) -> "tiledbsoma.Experiment":
        """Open the experiment for reading."""
        import tiledbsoma

        return tiledbsoma.Experiment.open(self.uri, context=self.context())

    def query(self, experiment: "tiledbsoma.Experiment") -> "tiledbsoma.ExperimentAxisQuery":
        """Select this source's cells and genes of an open experiment."""
        import tiledbsoma

        def axis(value_filter: str | None) -> tiledbsoma.AxisQuery:
            return tiledbsoma.AxisQuery(value_filter=value_filter) if value_filter else tiledbsoma.AxisQuery()

        return experiment.axis_query(
            self.measurement, obs_query=axis(self.obs_filter), var_query=axis(self.var_filter)
        )
