"""Whether a reference made in one pass should be made anew: the budget has grown, or the method's source has changed."""

from pathlib import Path

from somaray import stages
from somaray.config import AUTO_MEMORY_BYTES
from somaray.records import Reference, read_record
from somaray.settings import Limits

CONSIDERED = "considered.json"
"""Copy of the last `reference.json`, no output of a rule."""


def reconsidered(folder: str | Path, limits: Limits) -> int:
    """Count how often the choice of a reference was or is to be reconsidered: a parameter of its rule, 0 at first.

    It grows by one when the last reference was made in one pass for lack of memory and Scanpy in memory now fits, or when it
    was made by a source that has changed since, and stays once the reference is made anew. `auto` never counts as grown: the
    host that plans may be another than the one that measures.

    Parameters
    ----------
    folder
        Of the dataset's reference.
    limits
        As they are now.
    """
    path = Path(folder) / CONSIDERED
    if not path.exists():
        return 0
    last = read_record(path, Reference)
    if last.method != "one-pass":
        return last.considered
    budget_bytes = limits.memory_bytes
    fits = (
        last.needed_bytes is not None
        and budget_bytes != AUTO_MEMORY_BYTES
        and (budget_bytes is None or last.needed_bytes <= budget_bytes)
    )
    return last.considered + (fits or last.fingerprint != stages.reference_fingerprint("one-pass"))
