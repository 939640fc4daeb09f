"""The report's first screen: what to use in how much memory, with the program to copy, and what speaks for and against it."""

from collections.abc import Mapping, Sequence
from typing import Any

from somaray.matrix import Run
from somaray.plan.constants import Prediction
from somaray.report.choices import Choice, choices, memory_of, seconds_of
from somaray.report.gathered import Gathered
from somaray.report.html import values
from somaray.report.html.values import Cell, bytes_cell, number_cell, seconds_cell, text_cell
from somaray.report.recommend import Recommendation, ranges, recommend
from somaray.report.recommend_document import programs
from somaray.report.rows import RunRow
from somaray.units import format_bytes, format_count, format_seconds, significant

type Line = tuple[str, list[Cell] | None]
"""What a choice is of, and the chosen run with its figures; None where nothing will do."""


def answers(gathered: Gathered, hrefs: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the template needs to say of each dataset."""
    recommended = recommend(gathered)
    return [
        _answer(choice, [each for each in recommended if each.dataset == choice.dataset], gathered, hrefs)
        for choice in choices(gathered.rows)
    ]


def _answer(
    choice: Choice, recommended: Sequence[Recommendation], gathered: Gathered, hrefs: Mapping[str, str]
) -> dict[str, Any]:
    best = choice.fastest
    lines: list[Line] = [
        ("Fastest", _measured(choice.fastest, hrefs)),
        ("Leanest", _measured(choice.leanest, hrefs)),
        *(
            (f"In {budgets}", _measured(row, hrefs))
            for budgets, row in ranges([(e.budget_bytes, e.measured) for e in recommended])
        ),
        *(
            (f"In {budgets}, predicted", _predicted(*predicted))
            for budgets, predicted in ranges([(e.budget_bytes, e.predicted) for e in recommended])
            if predicted is not None
        ),
    ]
    return {
        "dataset": choice.dataset,
        "headline": best,
        "setting": "" if best is None else setting_text(best.run),
        "seconds": "" if best is None else format_seconds(seconds_of(best)),
        "memory": "" if best is None else format_bytes(memory_of(best)),
        "lines": lines,
        "n_finished": choice.n_finished,
        "any_predicted": any(each.predicted for each in recommended),
        "programs": [(f"{run.method} {run.setting}", code) for run, code in programs(recommended, gathered)],
    }


def _measured(row: RunRow | None, hrefs: Mapping[str, str]) -> list[Cell] | None:
    if row is None:
        return None
    return [
        text_cell(f"{row.run.method} {row.run.setting}", hrefs.get(row.run.path, "")),
        seconds_cell(row.wall_seconds),
        bytes_cell(memory_of(row)),
        number_cell(row.cells_per_second, values.speed_text(row.cells_per_second)),
    ]


def _predicted(run: Run, prediction: Prediction) -> list[Cell]:
    seconds = prediction.seconds
    return [
        text_cell(f"{run.method} {run.setting}"),
        number_cell(seconds, None if seconds is None else significant(seconds, 3)),
        bytes_cell(prediction.peak_pss_bytes),
        number_cell(None),
    ]


def setting_text(run: Run) -> str:
    """Say a run's setting in words."""
    if run.chunk_size is None or run.parallelism is None:
        return "X read whole"
    words = run.parallelism
    where = f"{words.processes} Dask process{'es' * (words.processes != 1)}" if words.processes else "no worker process"
    return (
        f"{format_count(run.chunk_size)} cells a chunk, {where} × {words.threads} thread{'s' * (words.threads != 1)} × "
        f"{words.tile_threads} of TileDB"
    )


def trust(gathered: Gathered) -> list[tuple[str, str, bool]]:
    """What speaks for and against the figures: a title, a figure, and whether it is good."""
    rows = [row for row in gathered.rows if row.origin == "measured"]
    good = sum(row.status == "ok" for row in rows)
    checks = [check for agreement in gathered.agreements for check in agreement.checks]
    checked = [check for check in checks if check.agrees is not None]
    agree = sum(bool(check.agrees) for check in checked)
    spreads = [
        (row.wall_seconds.maximum - row.wall_seconds.minimum) / row.wall_seconds.median
        for row in rows
        if row.wall_seconds.median and row.wall_seconds.maximum is not None and row.wall_seconds.minimum is not None
    ]
    replicates = [row.replicates for row in rows if row.replicates]
    told = [
        ("Runs that ended well", f"{good} of {len(rows)}", good == len(rows)),
        ("Results that agree with Scanpy's own", f"{agree} of {len(checked)}", agree == len(checked)),
    ]
    again = sum(bool(row.retried) for row in rows)
    if again:
        told.append(("Runs measured again in a larger job", f"{again} of {len(rows)}", False))
    if len(checks) > len(checked):
        told.append(("Results not checked", str(len(checks) - len(checked)), False))
    if replicates:
        told.append(("Replicates of each run", _range(min(replicates), max(replicates)), min(replicates) > 1))
    if spreads:
        widest = max(spreads)
        told.append(("Widest spread of times over replicates", f"{100 * widest:.0f} % of the median", widest < 0.25))
    return told


def measured_again(rows: Sequence[RunRow], hrefs: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Runs of which an execution outgrew its job and was measured in a larger one: path, address and what is told of it."""
    return [(row.run.path, hrefs.get(row.run.path, ""), row.retried) for row in rows if row.retried]


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
