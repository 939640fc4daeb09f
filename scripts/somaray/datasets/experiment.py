"""Make a SOMA experiment of Census's shape: obs, one measurement with var, and an empty collection X."""

from pathlib import Path

import pyarrow as pa

from somaray.datasets.census_schema import MEASUREMENT, frame_create_options


def create_experiment(uri: Path) -> None:
    """Create the experiment, its measurement and the measurement's X, all empty."""
    import tiledbsoma

    with tiledbsoma.Experiment.create(str(uri)) as experiment:
        measurements = experiment.add_new_collection("ms")
        measurement = measurements.add_new_collection(MEASUREMENT, tiledbsoma.Measurement)
        measurement.add_new_collection("X")


def create_frame(uri: Path, name: str, schema: pa.Schema, n_rows: int) -> str:
    """Create `obs` or `var` with joinids from 0 to `n_rows` - 1 and return its URI."""
    import tiledbsoma

    parent: tiledbsoma.Collection
    if name == "obs":
        parent = tiledbsoma.Experiment.open(str(uri), "w")
    else:
        parent = tiledbsoma.Measurement.open(f"{uri}/ms/{MEASUREMENT}", "w")
    with parent:
        frame = parent.add_new_dataframe(
            name, schema=schema, domain=((0, n_rows - 1),), platform_config=frame_create_options()
        )
        return frame.uri


def append_frame(frame_uri: str, table: pa.Table) -> None:
    """Write rows that are in order of `soma_joinid`."""
    import tiledbsoma

    with tiledbsoma.DataFrame.open(frame_uri, "w") as frame:
        frame.write(table.combine_chunks())


def finish_frame(frame_uri: str) -> None:
    """Join all that was appended into one fragment, as Census has it."""
    import tiledb

    # By default the buffers of a consolidation take a share of 10 GiB, and touch most of it even for a few rows.
    tiledb.consolidate(frame_uri, config=tiledb.Config({"sm.mem.total_budget": str(256 << 20)}))
    tiledb.vacuum(frame_uri)
