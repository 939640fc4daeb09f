"""obs and var of synthetic data: Census's columns filled with plausible labels and with true numbers."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from somaray.datasets.census_schema import LABEL_TYPE, OBS_LABELS, OBS_SCHEMA, VAR_SCHEMA
from somaray.datasets.count_model import CELL_TYPES, CountModel, Dataset
from somaray.datasets.draw import draw_labels

_TISSUES = {
    # tissue_general, its ontology term, then tissues and theirs
    "lung": ("UBERON:0002048", ("lung", "UBERON:0002048"), ("upper lobe of left lung", "UBERON:0008952")),
    "heart": ("UBERON:0000948", ("heart left ventricle", "UBERON:0002084"), ("apex of heart", "UBERON:0002098")),
    "blood": ("UBERON:0000178", ("blood", "UBERON:0000178"), ("venous blood", "UBERON:0013756")),
    "kidney": ("UBERON:0002113", ("kidney", "UBERON:0002113"), ("cortex of kidney", "UBERON:0001225")),
}
_CELL_TYPES = (
    ("T cell", "CL:0000084"),
    ("B cell", "CL:0000236"),
    ("natural killer cell", "CL:0000623"),
    ("macrophage", "CL:0000235"),
    ("classical monocyte", "CL:0000860"),
    ("fibroblast", "CL:0000057"),
    ("endothelial cell", "CL:0000115"),
    ("pericyte", "CL:0000669"),
    ("smooth muscle cell", "CL:0000192"),
    ("cardiac muscle cell", "CL:0000746"),
    ("epithelial cell", "CL:0000066"),
    ("neuron", "CL:0000540"),
    ("mast cell", "CL:0000097"),
    ("plasma cell", "CL:0000786"),
    ("dendritic cell", "CL:0000451"),
    ("neutrophil", "CL:0000775"),
    ("erythrocyte", "CL:0000232"),
    ("platelet", "CL:0000233"),
    ("adipocyte", "CL:0000136"),
    ("mesothelial cell", "CL:0000077"),
    ("pulmonary alveolar type 1 cell", "CL:0002062"),
    ("pulmonary alveolar type 2 cell", "CL:0002063"),
    ("club cell", "CL:0000158"),
    ("ciliated cell", "CL:0000064"),
)
_ASSAYS = (("10x 3' v3", "EFO:0009922"), ("10x 3' v2", "EFO:0009899"), ("10x 5' v1", "EFO:0011025"))
_STAGES = (("adult stage", "HsapDv:0000087"), ("54-year-old stage", "HsapDv:0000148"), ("unknown", "unknown"))
_DISEASES = (("normal", "PATO:0000461"), ("dilated cardiomyopathy", "MONDO:0005021"), ("COVID-19", "MONDO:0100096"))
_ETHNICITIES = (("unknown", "unknown"), ("European", "HANCESTRO:0005"), ("Asian", "HANCESTRO:0008"))
_SEXES = (("female", "PATO:0000383"), ("male", "PATO:0000384"), ("unknown", "unknown"))
_SUSPENSIONS = (("cell",), ("nucleus",))
_TISSUE_TYPES = (("tissue",),)
_DONORS_PER_DATASET = 12
_PRIMARY_SHARE = 0.9
_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*+", np.uint8)
_JOINID_CHARACTERS = 10


@dataclass(frozen=True)
class CellStats:
    """What counting consecutive cells gave, one value a cell: float64 sums and squares, int64 others.

    `kinds` is the cell type's number, `n_measured_vars` the genes its dataset measured.
    """

    nnz: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    kinds: np.ndarray
    n_measured_vars: np.ndarray


def obs_table(model: CountModel, start: int, stats: CellStats) -> pa.Table:
    """Make obs of the cells from `start` on; `raw_sum`, `nnz` and their kin are those of the counts drawn."""
    n = stats.nnz.size
    stop = start + n
    columns: dict[str, pa.Array] = {"soma_joinid": pa.array(np.arange(start, stop, dtype=np.int64))}
    here = [dataset for dataset in model.datasets if dataset.start < stop and dataset.stop > start]
    lengths = [min(dataset.stop, stop) - max(dataset.start, start) for dataset in here]
    number = np.repeat([dataset.number for dataset in here], lengths)
    tissue = number % len(_TISSUES)
    # By dataset: what a whole dataset shares. By donor: what all cells of a donor share. By cell: the rest.
    _, within, tissue_type = (_bits(model, start, n, column) for column in range(3))
    donor = within % _DONORS_PER_DATASET
    by_donor = number * _DONORS_PER_DATASET + donor
    general = tuple((name, entry[0]) for name, entry in _TISSUES.items())
    tissues = tuple(pair for entry in _TISSUES.values() for pair in entry[1:])
    codes: dict[str, tuple[np.ndarray, tuple[tuple[str, ...], ...]]] = {
        "assay": (number % len(_ASSAYS), _ASSAYS),
        "cell_type": (stats.kinds, _CELL_TYPES),
        "development_stage": (by_donor % len(_STAGES), _STAGES),
        "disease": ((number + donor // 6) % len(_DISEASES), _DISEASES),
        "self_reported_ethnicity": (by_donor // 3 % len(_ETHNICITIES), _ETHNICITIES),
        "sex": (by_donor // 2 % len(_SEXES), _SEXES),
        "suspension_type": (number // 2 % 2, _SUSPENSIONS),
        "tissue": (tissue * 2 + tissue_type % 2, tissues),
        "tissue_type": (np.zeros(n, np.int64), _TISSUE_TYPES),
        "tissue_general": (tissue, general),
    }
    for name, (code, labels) in codes.items():
        columns[name] = _labels(code, [label[0] for label in labels])
        if f"{name}_ontology_term_id" in OBS_LABELS:
            columns[f"{name}_ontology_term_id"] = _labels(code, [label[1] for label in labels])
    # Census names datasets by UUIDs; the names here are as long and say where they come from.
    first = here[0].number
    columns["dataset_id"] = _labels(number - first, [_dataset_id(model, dataset) for dataset in here])
    columns["donor_id"] = _labels(
        by_donor - first * _DONORS_PER_DATASET,
        [f"donor-{dataset.number}-{donor}" for dataset in here for donor in range(_DONORS_PER_DATASET)],
    )
    columns["is_primary_data"] = pa.array(number % 10 < _PRIMARY_SHARE * 10)
    columns["observation_joinid"] = _joinids(model, start, n)
    columns["raw_sum"] = pa.array(stats.sums)
    columns["nnz"] = pa.array(stats.nnz)
    columns["raw_mean_nnz"] = pa.array(stats.sums / stats.nnz)
    spread = np.maximum(stats.squares - stats.sums**2 / stats.nnz, 0) / np.maximum(stats.nnz - 1, 1)
    columns["raw_variance_nnz"] = pa.array(spread)
    columns["n_measured_vars"] = pa.array(stats.n_measured_vars)
    return pa.table([columns[name] for name in OBS_SCHEMA.names], schema=OBS_SCHEMA)


def var_table(model: CountModel, nnz: np.ndarray, n_measured_obs: np.ndarray) -> pa.Table:
    """Make var; `nnz` and `n_measured_obs` (int64 by gene) are cells that have a gene and cells that were asked for it."""
    genes = np.arange(model.n_vars, dtype=np.int64)
    lengths = np.exp(7.5 + 0.9 * model.random(6).standard_normal(model.n_vars)).astype(np.int64) + 50
    return pa.table(
        [
            pa.array(genes),
            pa.array([f"ENSG{gene:011d}" for gene in genes], pa.large_string()),
            pa.array([f"GENE{gene}" for gene in genes], pa.large_string()),
            pa.array(lengths),
            pa.array(nnz),
            pa.array(n_measured_obs),
        ],
        schema=VAR_SCHEMA,
    )


def _bits(model: CountModel, start: int, n: int, column: int) -> np.ndarray:
    bits = np.empty(n, np.uint64)
    draw_labels(np.uint64(model.seed & 0xFFFF_FFFF_FFFF_FFFF), start, column, bits)
    return (bits >> np.uint64(16)).astype(np.int64)


def _labels(codes: np.ndarray, labels: list[str]) -> pa.Array:
    """Dictionary-encode; equal labels under several codes become one."""
    distinct = list(dict.fromkeys(labels))
    place = np.array([distinct.index(label) for label in labels], np.int32)
    indices = pa.array(place[codes])
    return pa.DictionaryArray.from_arrays(indices, pa.array(distinct, pa.large_string())).cast(LABEL_TYPE)


def _dataset_id(model: CountModel, dataset: Dataset) -> str:
    return f"synthetic-{model.seed & 0xFFFF_FFFF:08x}-dataset-{dataset.number:09d}"


def _joinids(model: CountModel, start: int, n: int) -> pa.Array:
    """Ten characters a cell, as Census has them: 60 random bits, which no two cells of a matrix are likely to share."""
    words = [_bits(model, start, n, column) for column in (100, 101)]
    text = np.empty((n, _JOINID_CHARACTERS), np.uint8)
    for position in range(_JOINID_CHARACTERS):
        text[:, position] = _ALPHABET[(words[position % 2] >> (6 * (position // 2))) & 63]
    offsets = np.arange(n + 1, dtype=np.int64) * _JOINID_CHARACTERS
    return pa.Array.from_buffers(pa.large_string(), n, [None, pa.py_buffer(offsets), pa.py_buffer(text)])


assert len(_CELL_TYPES) == CELL_TYPES
