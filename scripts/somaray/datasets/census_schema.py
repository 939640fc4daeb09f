"""Array schemas of CELLxGENE Census: how X, obs and var are laid out on disk, and which columns obs and var have.

X/raw is laid out as in the release of 2024-07-01. Names and kinds of obs and var columns are those of Census's builder, of
its schema version 1.2.0; the width of the summary columns (`raw_sum`, …) may differ from release to release.
"""

from typing import Any

import pyarrow as pa

MEASUREMENT = "RNA"
LAYER = "raw"
TILE_ROWS = 2048
"""Rows of a tile in both layouts, and so of the strips the writer works on."""
CENSUS_TILE_COLUMNS = 2048

OBS_LABELS = (
    "dataset_id",
    "assay",
    "assay_ontology_term_id",
    "cell_type",
    "cell_type_ontology_term_id",
    "development_stage",
    "development_stage_ontology_term_id",
    "disease",
    "disease_ontology_term_id",
    "donor_id",
    "self_reported_ethnicity",
    "self_reported_ethnicity_ontology_term_id",
    "sex",
    "sex_ontology_term_id",
    "suspension_type",
    "tissue",
    "tissue_ontology_term_id",
    "tissue_type",
    "tissue_general",
    "tissue_general_ontology_term_id",
)
"""The dictionary-encoded columns of obs."""

LABEL_TYPE = pa.dictionary(pa.int32(), pa.large_string())

OBS_SCHEMA = pa.schema(
    [
        pa.field("soma_joinid", pa.int64(), nullable=False),
        *(pa.field(name, LABEL_TYPE) for name in OBS_LABELS[:10]),
        pa.field("is_primary_data", pa.bool_()),
        pa.field("observation_joinid", pa.large_string()),
        *(pa.field(name, LABEL_TYPE) for name in OBS_LABELS[10:]),
        pa.field("raw_sum", pa.float64()),
        pa.field("nnz", pa.int64()),
        pa.field("raw_mean_nnz", pa.float64()),
        pa.field("raw_variance_nnz", pa.float64()),
        pa.field("n_measured_vars", pa.int64()),
    ]
)

VAR_SCHEMA = pa.schema(
    [
        pa.field("soma_joinid", pa.int64(), nullable=False),
        pa.field("feature_id", pa.large_string()),
        pa.field("feature_name", pa.large_string()),
        pa.field("feature_length", pa.int64()),
        pa.field("nnz", pa.int64()),
        pa.field("n_measured_obs", pa.int64()),
    ]
)


def tile_columns(layout: str, n_vars: int) -> int:
    """Columns of an X tile: 2,048 as in Census, or whole rows in the `scan` layout."""
    return CENSUS_TILE_COLUMNS if layout == "census" else n_vars


def x_create_options(layout: str, n_vars: int) -> dict[str, Any]:
    """Platform configuration that makes X/raw.

    Parameters
    ----------
    layout
        `census`: Census's own schema. `scan`: whole-row tiles and Zstd 3, quickest to write and to read through.
    n_vars
        Columns of X.
    """
    level = 9 if layout == "census" else 3
    zstd = {"_type": "ZstdFilter", "level": level}
    shuffled = ["ByteShuffleFilter", zstd]
    return {
        "tiledb": {
            "create": {
                "capacity": 65_536,
                "cell_order": "row-major",
                "tile_order": "row-major",
                "allows_duplicates": True,
                "dims": {
                    "soma_dim_0": {"tile": TILE_ROWS, "filters": [zstd]},
                    "soma_dim_1": {"tile": tile_columns(layout, n_vars), "filters": shuffled},
                },
                "attrs": {"soma_data": {"filters": shuffled}},
            }
        }
    }


def frame_create_options() -> dict[str, Any]:
    """Platform configuration that makes obs and var: joinids differ by one, so their differences compress to nothing."""
    return {
        "tiledb": {
            "create": {
                "capacity": 65_536,
                "allows_duplicates": True,
                "dims": {"soma_joinid": {"filters": ["DoubleDeltaFilter", {"_type": "ZstdFilter", "level": 9}]}},
            }
        }
    }
