"""`results/README.md`: the index of all results, with what most people came for on top."""

from collections.abc import Sequence

from somaray.matrix import Run
from somaray.report.choices import Choice, choices, memory_of
from somaray.report.figures.names import TRADE_OFF
from somaray.report.gathered import Gathered
from somaray.report.markdown import address, escape, image, table
from somaray.report.recommend import ranges
from somaray.report.rows import RunRow
from somaray.report.verdict import failed
from somaray.units import format_bytes, significant

FILES = (
    ("report.html", "everything on one page, to open in a browser"),
    ("tables/recommend.md", "the fastest setting in 8, 16, 32 and 64 GiB, with the lines to copy"),
    ("findings.md", "what the records say that is worth a sentence, with what to do about it"),
    ("tables/runs.md", "a row a run: times, resident memory, heap, status, agreement"),
    ("tables/runs.csv", "the same as plain numbers"),
    ("tables/agreement.md", "every result held against the reference"),
    ("tables/processes.md", "every process of every run"),
    ("allocations.md", "top allocations of driver and workers, linked to source lines"),
    ("plots/", "the figures, as SVG"),
)
"""What there is beside the index, and what it holds."""


def index(gathered: Gathered, others: Sequence[tuple[str, str]] = (), replay: bool = False) -> str:
    """Write the index.

    Parameters
    ----------
    others
        Further files and what they hold.
    replay
        Whether every run has a replay.
    """
    failures = failed(gathered.executions, gathered.agreements)
    runs = [row.run for row in gathered.rows if row.origin == "measured"]
    parts = [
        "# Results\n",
        *(_choice(choice) for choice in choices(gathered.rows)),
        image("Time against memory of every finished run", f"plots/{TRADE_OFF}.svg"),
        f"{len(runs)} runs, {len(gathered.executions)} executions. "
        + ("None failed, no result disagrees.\n" if not failures else "**Some failed or disagree:**\n"),
    ]
    if failures:
        parts.append("\n".join(f"- {escape(line)}" for line in failures) + "\n")
    rows = [[f"[{escape(name)}]({name})", text] for name, text in (*FILES, *others)]
    parts += [table(["File", "What it holds"], rows, left=2), _runs(runs, replay)]
    return "\n".join(parts)


def _choice(choice: Choice) -> str:
    lines: list[tuple[str, RunRow | None]] = [("fastest", choice.fastest), ("leanest", choice.leanest)]
    lines += [(f"fastest within {budgets}", row) for budgets, row in ranges(choice.by_budget.items())]
    rows = [[title, *_chosen(row)] for title, row in lines]
    header = ["", "method", "run", "time (s)", "memory"]
    return f"## {escape(choice.dataset)}\n\n" + table(header, rows, left=3)


def _chosen(row: RunRow | None) -> list[str]:
    if row is None or row.wall_seconds.median is None:
        return ["no finished run fits", "", "", ""]
    run = row.run
    link = f"[{escape(run.setting)}]({address(f'hvg/{run.path}/')})"
    return [escape(run.method), link, significant(row.wall_seconds.median, 3), format_bytes(memory_of(row))]


def _runs(runs: Sequence[Run], replay: bool) -> str:
    def line(run: Run) -> str:
        folder = f"hvg/{run.path}/"
        video = f", [video]({address(f'{folder}replay.mp4')})" if replay else ""
        return f"- [{escape(run.path)}]({address(folder)}){video}"

    lines = map(line, runs)
    return "\n".join(["<details><summary>Every run's own files</summary>\n", *lines, "\n</details>\n"])
