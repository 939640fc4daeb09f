"""`recommend.md`: what to use in how much memory, and the lines to copy."""

from collections.abc import Sequence
from itertools import groupby

import msgspec

from somaray.matrix import Run
from somaray.plan.finished import run_of
from somaray.registry import METHODS
from somaray.report.choices import memory_of, seconds_of
from somaray.report.gathered import Gathered
from somaray.report.markdown import address, escape, table
from somaray.report.measured_with import measured_with
from somaray.report.recommend import Recommendation, most_like, ranges
from somaray.report.recommend_code import code_of
from somaray.settings import LOCAL
from somaray.units import format_bytes, significant

NOTHING = "nothing that ran or is planned fits"


def recommend_markdown(
    recommendations: Sequence[Recommendation],
    gathered: Gathered,
    datasets_dir: str = "results/datasets",
    runs_href: str | None = None,
) -> str:
    """Write the recommendations, a section a dataset, each setting's code once.

    Parameters
    ----------
    datasets_dir
        Where exported AnnData files lie, as the code shall name them.
    runs_href
        The way from the document to the folder of runs; None makes no links.
    """
    parts = [
        "# Recommended settings\n",
        "The fastest finished run that fits into so much memory: the largest summed PSS of its unprofiled executions, whose"
        " distance from the budget, of several the smallest, is the margin. **Predicted** settings were never run: the plan,"
        " with constants fitted to the runs here, says that they are faster still, or fit where no finished run does. Measure"
        " one before you rely on it.\n",
    ]
    for dataset, group in groupby(recommendations, key=lambda each: each.dataset):
        of_dataset = list(group)
        parts.append(f"## {escape(dataset)}\n")
        rows = []
        for _, same in groupby(of_dataset, key=lambda each: each.choice):
            own = list(same)
            # Of budgets that agree, the smallest leaves the margin that all have.
            ((budgets, _),) = ranges((each.budget_bytes, None) for each in own)
            rows += _rows(own[0], budgets, runs_href)
        header = ["memory", "method", "run", "time (s)", "peak PSS", "margin", "known from"]
        parts.append(table(header, rows, left=3, words=("known from",)))
        parts += [
            f"### `{run.method}` {escape(run.setting)}\n\n```python\n{code}```\n"
            for run, code in programs(of_dataset, gathered, datasets_dir)
        ]
    parts.append(measured_with(gathered.timings))
    return "\n".join(parts)


def _rows(each: Recommendation, budget: str, runs_href: str | None) -> list[list[str]]:
    rows = []
    if each.measured is not None:
        row, margin_bytes = each.measured, each.margin_bytes or 0.0
        figures = [significant(seconds_of(row), 3), format_bytes(memory_of(row)), format_bytes(margin_bytes)]
        rows.append([budget, escape(row.run.method), _link(row.run, runs_href), *figures, "measured"])
    if each.predicted is not None:
        run, prediction = each.predicted
        figures = [
            significant(prediction.seconds or 0.0, 3),
            format_bytes(prediction.peak_pss_bytes),
            format_bytes(each.predicted_margin_bytes or 0.0),
        ]
        rows.append([budget, escape(run.method), escape(run.setting), *figures, "**predicted**, never run"])
    return rows or [[budget, NOTHING, "", "", "", "", ""]]


def _link(run: Run, runs_href: str | None) -> str:
    text = escape(run.setting)
    return text if runs_href is None else f"[{text}]({address(f'{runs_href}/{run.path}/')})"


def programs(
    of_dataset: Sequence[Recommendation], gathered: Gathered, datasets_dir: str = "results/datasets"
) -> list[tuple[Run, str]]:
    """The code of each setting that is recommended on one dataset, the predicted ones' too, each once."""
    manifest = next(each for each in gathered.manifests if each.name == of_dataset[0].dataset)
    found = []
    for run in dict.fromkeys(run for each in of_dataset for run in _runs(each)):
        export = METHODS[run.method].export
        exported = None if export is None else f"{datasets_dir}/{run.dataset}/x.{export}"
        like = most_like(run, gathered.timings)
        if run_of(like) != run:
            # The plan knows workers of this host alone.
            like = msgspec.structs.replace(like, dask=msgspec.structs.replace(like.dask, cluster=LOCAL))
        found.append((run, code_of(run, manifest, like, exported)))
    return found


def _runs(each: Recommendation) -> list[Run]:
    runs = [] if each.measured is None else [each.measured.run]
    return runs if each.predicted is None else [*runs, each.predicted[0]]
