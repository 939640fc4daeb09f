"""Hosts, versions and settings that differ between two sides, and results and statuses that do."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from somaray.agreement import compare
from somaray.records import Execution
from somaray.report.compare.sides import RunResults

HOST = ("name", "cpu_model", "logical_cores", "usable_cores", "memory_bytes", "kernel")


@dataclass(frozen=True)
class Difference:
    """One thing that was not the same, e.g. `version of scanpy`, with its value on both sides and the runs it concerns."""

    what: str
    a: str
    b: str
    matches: tuple[str, ...]


@dataclass(frozen=True)
class StatusChange:
    """A run that ended otherwise; `worse` if it ended well before."""

    match: str
    a: str
    b: str
    worse: bool


@dataclass(frozen=True)
class GeneChange:
    """How B's table of genes differs from A's; `expected` where the runs were not asked for the same."""

    match: str
    selected_a: int
    selected_b: int
    in_common: int
    same: bool
    note: str
    largest_difference: float | None
    expected: bool


def differences(pairs: Mapping[str, tuple[RunResults, RunResults]]) -> tuple[Difference, ...]:
    """List what was not the same, one line for all runs that it concerns alike."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for match, sides in pairs.items():
        a, b = (_described((side.capture, *side.timings)) for side in sides)
        for what in dict.fromkeys([*a, *b]):
            values = a.get(what, ""), b.get(what, "")
            if values[0] != values[1]:
                found.setdefault((what, *values), []).append(match)
    return tuple(Difference(*key, tuple(matches)) for key, matches in found.items())


def _described(executions: Iterable[Execution]) -> dict[str, str]:
    """Everything an execution ran under, as text; several values, sorted, where the executions of one run differ."""
    values: dict[str, set[str]] = {}
    for execution in executions:
        for what, value in _circumstances(execution).items():
            values.setdefault(what, set()).add(value)
    return {what: "; ".join(sorted(texts)) for what, texts in values.items()}


def _circumstances(execution: Execution) -> dict[str, str]:
    provenance = execution.provenance
    settings: dict[str, Mapping[str, Any]] = {
        "HVG setting": msgspec.structs.asdict(execution.hvg),
        "TileDB setting": execution.tiledb,
        "Dask setting": {
            **msgspec.structs.asdict(execution.dask),
            **execution.dask.config,
            "config": None,
            **{f"slurm.{name}": value for name, value in msgspec.to_builtins(execution.dask.slurm).items()},
            "slurm": None,
        },
        "environment": execution.environment,
        "limit": msgspec.structs.asdict(execution.limits),
    }
    return {
        **{f"host {name}": str(getattr(provenance.host, name)) for name in HOST},
        **{f"version of {name}": version for name, version in sorted(provenance.versions.items())},
        "Python": provenance.python,
        "commit": provenance.commit or "",
        "cells": str(execution.n_obs),
        "genes": str(execution.n_vars),
        "chunk size": _text(execution.chunk_size),
        "parallelism": execution.parallelism or "",
        "method": execution.method,
        "dataset": execution.dataset,
        "variant": execution.variant,
        "obs columns": _text(execution.obs_columns),
        "var columns": _text(execution.var_columns),
        **{
            f"{title} {name}": _text(value)
            for title, own in settings.items()
            for name, value in own.items()
            if value is not None
        },
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def warnings(found: Iterable[Difference]) -> tuple[str, ...]:
    """What makes a comparison mean less than it seems to."""
    whats = {difference.what for difference in found}
    said = []
    if whats & {f"host {name}" for name in HOST if name != "kernel"}:
        said.append("measured on different machines: ratios compare these too")
    if whats & {"cells", "genes"}:
        said.append("not of the same cells and genes: ratios compare sizes too")
    if any(what.startswith("HVG setting") for what in whats):
        said.append("HVG settings differ: other genes are expected")
    return tuple(said)


def status_changes(pairs: Mapping[str, tuple[RunResults, RunResults]]) -> tuple[StatusChange, ...]:
    """List runs that did not end as they did before; reasons may differ, as how much memory was just too much."""
    changed = []
    for match, (a, b) in pairs.items():
        before, after = _status(a), _status(b)
        if before[0] != after[0]:
            changed.append(StatusChange(match, before[1], after[1], before[0] == "ok"))
    return tuple(changed)


def _status(results: RunResults) -> tuple[str, str]:
    """What went wrong first, in a word and in full."""
    for execution in (results.capture, *results.timings):
        if execution.status != "ok":
            return execution.status, execution.status_text
    checks = results.agreement.checks if results.agreement else ()
    disagreeing = next((check for check in checks if check.agrees is False), None)
    if disagreeing is not None:
        return "disagrees", f"disagrees with the reference ({disagreeing.note})"
    return "ok", "ok"


def gene_changes(pairs: Mapping[str, tuple[RunResults, RunResults]]) -> tuple[GeneChange, ...]:
    """Hold B's table of genes against A's, with the tolerances of the agreement with the reference."""
    found = []
    for match, (a, b) in pairs.items():
        if a.hvg is None or b.hvg is None:
            continue
        check = compare(match, b.hvg, a.hvg)
        alike = a.capture.hvg == b.capture.hvg
        same_cells = (a.capture.n_obs, a.capture.n_vars) == (b.capture.n_obs, b.capture.n_vars)
        found.append(
            GeneChange(
                match=match,
                selected_a=check.genes_reference or 0,
                selected_b=check.genes_selected or 0,
                in_common=check.genes_in_common or 0,
                same=bool(check.agrees),
                note=check.note.replace("in the reference", "in A"),
                largest_difference=check.largest_difference,
                expected=not (alike and same_cells),
            )
        )
    return tuple(found)
