"""How often an execution has failed, kept beside its outputs, so that the next invocation tries it again.

A failed execution leaves its outputs like any other: the tables need them. What makes Snakemake run it again is the rule's
`attempt` parameter, read from here when the workflow is planned; after a success the count stays, and nothing runs again.
"""

from pathlib import Path

FOLDER = "failures"


def failures(run_dir: str | Path, execution: str) -> int:
    """Count the failures of an execution (`capture` or `timing-1`) so far."""
    try:
        return int((Path(run_dir) / FOLDER / execution).read_text())
    except FileNotFoundError:
        return 0


def note_failure(run_dir: str | Path, execution: str) -> None:
    """Count one more failure."""
    path = Path(run_dir) / FOLDER / execution
    count = failures(run_dir, execution) + 1
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(str(count))
    temporary.replace(path)
