"""What counts as a change, and which changes are alarms."""

import re
from dataclasses import dataclass, field

from somaray.errors import SomarayError

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%?")


@dataclass(frozen=True)
class Thresholds:
    """A change must exceed both a share of the figure and a least difference in its own unit.

    Parameters
    ----------
    slower_share, memory_share
        0.1 is 10 % more; less by as much as undoes it (÷ 1.1) counts alike.
    heap_share
        None: a heap peak, which is captured once and has no interval, is told and never an alarm.
    least_seconds, least_bytes
        Below these a difference is nobody's business, whatever share it is.
    allow
        `genes` and `status` changes that are then told and no alarm.
    """

    slower_share: float = 0.1
    memory_share: float = 0.1
    heap_share: float | None = None
    least_seconds: float = 0.1
    least_bytes: int = 16 * 2**20
    allow: frozenset[str] = field(default_factory=frozenset)


def parse_percent(text: str, option: str) -> float:
    """Read `10%` (or `10`) as the share 0.1.

    Raises
    ------
    SomarayError
        If `text`, given for `option`, is anything else.
    """
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise SomarayError(f"{option} {text}: expected per cent from 0 up, e.g. 10%")
    return float(match[1]) / 100
