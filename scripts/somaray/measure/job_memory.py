"""How much memory a batch job holds, as a scheduler without control groups counts: resident sets, summed over processes."""

import os
from collections.abc import Callable

import psutil

from somaray.batch import current_job
from somaray.measure.timeline import Timeline

_BESIDE_INTERVAL_SECONDS = 10.0
"""What stands beside a run hardly changes, and looking for it walks all processes of the host."""


def beside_bytes(session: int) -> int:
    """Resident memory of this job's processes beside a session: Snakemake's above this one, this one, and those below."""
    own = psutil.Process()
    job, above = current_job(), [own]
    for parent in own.parents() if job is not None else []:
        try:
            if current_job(parent.environ()) != job:
                break
        except psutil.Error:
            # The scheduler's own, which started the job.
            break
        above.append(parent)
    return sum(
        map(_rss_bytes, [*above, *(child for child in own.children(recursive=True) if _is_beside(child, session))])
    )


class JobWatch:
    """Tells how much memory the job was seen to hold: what stands beside the run, and the most the run did."""

    def __init__(self, session: int, timeline: Timeline, saw: Callable[[int], None]) -> None:
        self._session = session
        self._timeline = timeline
        self._saw = saw
        self._beside_bytes = 0
        self._looked_at_seconds: float | None = None

    def look(self, now_seconds: float) -> None:
        """Tell of what the last sample showed; to be called as often as one likes."""
        if self._looked_at_seconds is None or now_seconds - self._looked_at_seconds > _BESIDE_INTERVAL_SECONDS:
            self._looked_at_seconds = now_seconds
            self._beside_bytes = max(self._beside_bytes, beside_bytes(self._session))
        self._saw(self._beside_bytes + self._timeline.most_rss_bytes)


def _is_beside(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) != session
    except OSError:
        return False


def _rss_bytes(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0
