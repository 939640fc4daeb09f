"""Hold a table of genes against the reference: the same genes selected, the same scores."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from somaray.matrix import Run
from somaray.records import Agreement, AgreementCheck, Execution, Reference

TOLERANCE = 1e-6
"""Largest allowed difference of a score, relative to the larger of 1 and the reference's own."""

SCORES = ("dispersions", "variances")
"""Columns held to `TOLERANCE`, those of them that the flavour has."""

FIT_TOLERANCE = 5e-3
"""Allowed difference of `variances_norm`. They are variances divided by those that a local fit expects. It interpolates between
knots at the genes' means, and where means are equal but for their last bits, another order of summing moves a knot (seen: 1e-14
became 5e-5 on all cells, and 2e-3 in batches; fed by Dask, Scanpy differs from itself by as much)."""

NORMALISED_TOLERANCE = 1e-4
"""Allowed difference of `dispersions_norm`. It is a dispersion less its bin's middle, divided by the bin's spread; a spread far
below 1 enlarges a rounding difference as much (seen: 4e-8 became 2e-6), so it is held less tightly than what it is made of."""


def read_hvg(path: str | Path) -> pd.DataFrame:
    """Read a table of genes, indexed by var id; without rows if the execution failed."""
    return pd.read_parquet(path).set_index("var_id")


def empty_hvg() -> pd.DataFrame:
    """The table of an execution that has none."""
    return pd.DataFrame({"highly_variable": np.zeros(0, dtype=bool)}, index=pd.Index([], name="var_id", dtype=str))


def largest_difference(table: pd.DataFrame, reference: pd.DataFrame, columns: Iterable[str] = SCORES) -> float:
    """Largest difference over all genes and some columns, relative to max(1, |reference|).

    A score that is NaN on both sides agrees; on one side alone it differs without bound, as does a column one side lacks.

    Parameters
    ----------
    table, reference
        Scanpy's columns, the same genes in the same order.
    """
    largest = 0.0
    for column in columns:
        if (column in table) != (column in reference):
            return float("inf")
        if column not in reference:
            continue
        ours, theirs = table[column].to_numpy(float), reference[column].to_numpy(float)
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        with np.errstate(invalid="ignore"):
            difference = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
        difference = np.where(np.isnan(difference), np.inf, difference)
        largest = max(largest, float(difference[~same].max(initial=0.0)))
    return largest


def compare(execution: str, table: pd.DataFrame, reference: pd.DataFrame) -> AgreementCheck:
    """Hold one result against the reference."""
    selected = set(table.index[table["highly_variable"].to_numpy(bool)])
    expected = set(reference.index[reference["highly_variable"].to_numpy(bool)])
    common = len(selected & expected)
    # With batches Scanpy sorts the genes by name or not, depending on how they are selected: their order is no difference.
    if len(table) == len(reference) and reference.index.is_unique and set(table.index) == set(reference.index):
        table = table.loc[reference.index]
    if list(table.index) == list(reference.index):
        scored, fitted = largest_difference(table, reference), largest_difference(table, reference, ["variances_norm"])
        difference: float | None = max(scored, fitted)
        note = ""
        if selected != expected:
            note = f"{len(expected) - common} genes missing, {len(selected) - common} too many"
        elif scored > TOLERANCE:
            note = f"scores differ by up to {scored:.2g}, allowed {TOLERANCE:g}"
        elif fitted > FIT_TOLERANCE:
            note = f"normalised variances differ by up to {fitted:.2g}, allowed {FIT_TOLERANCE:g}"
        elif (normalised := largest_difference(table, reference, ["dispersions_norm"])) > NORMALISED_TOLERANCE:
            note = f"normalised dispersions differ by up to {normalised:.2g}, allowed {NORMALISED_TOLERANCE:g}"
    else:
        difference, note = None, f"other genes: {len(table.index)} against {len(reference.index)} in the reference"
    return AgreementCheck(
        execution=execution,
        agrees=not note,
        note=note,
        genes_selected=len(selected),
        genes_reference=len(expected),
        genes_in_common=common,
        # JSON has no infinity; without a bound is told by the note.
        largest_difference=difference if difference is not None and np.isfinite(difference) else None,
    )


def check_run(
    run: Run,
    executions: Mapping[str, tuple[Execution, str | Path]],
    reference: Reference,
    reference_path: str | Path,
) -> Agreement:
    """Hold every result of a run against the reference.

    Parameters
    ----------
    executions
        Name (`capture`, `timing-1`, …) to its record and its table of genes.
    reference_path
        Table of genes of the reference, without rows where there is none.
    """
    expected = read_hvg(reference_path)
    checks = []
    for name, (execution, path) in executions.items():
        if execution.status == "ok" and reference.method is not None:
            checks.append(compare(name, read_hvg(path), expected))
            continue
        selected = int(read_hvg(path)["highly_variable"].sum()) if execution.status == "ok" else None
        checks.append(
            AgreementCheck(
                execution=name,
                agrees=None,
                note=reference.reason if execution.status == "ok" else execution.status_text,
                genes_selected=selected,
                genes_reference=None,
                genes_in_common=None,
                largest_difference=None,
            )
        )
    return Agreement(
        dataset=run.dataset,
        method=run.method,
        chunk_size=run.chunk_size,
        parallelism=None if run.parallelism is None else str(run.parallelism),
        variant=run.variant,
        reference=reference.method,
        checks=tuple(checks),
    )
