"""Memory of workers elsewhere while a run goes on, as the samplers beside them write it."""

import time
from pathlib import Path

from somaray.measure.captures import SAMPLES
from somaray.measure.clock import EventReader
from somaray.measure.process_tree import ProcessSample
from somaray.measure.timeline import budgeted_bytes

LOOK_INTERVAL_SECONDS = 1.0

SILENCE_SECONDS = 10.0
"""A sampler that wrote nothing for so long is taken to be gone, and its worker with it. A shared file system shows what others
write some seconds late; but a lost worker must not count beside the one that takes its place, by Dask's default after 15."""


class MemoryAfar:
    """Sums what all samplers of a work directory saw last.

    `most_bytes` is the largest sum so far with what the driver's host held at that time.
    """

    def __init__(self, work_dir: Path) -> None:
        self._folder = work_dir / SAMPLES
        self._readers: dict[Path, EventReader] = {}
        self._last: dict[Path, tuple[float, int]] = {}
        self._looked_at_seconds = -LOOK_INTERVAL_SECONDS
        self.summed_bytes = self.most_bytes = 0

    def look(self, here_bytes: int) -> None:
        """Read what is new, at most once a `LOOK_INTERVAL_SECONDS`.

        Parameters
        ----------
        here_bytes
            What the driver's host holds now.
        """
        now = time.monotonic()
        if now - self._looked_at_seconds < LOOK_INTERVAL_SECONDS:
            return
        self._looked_at_seconds = now
        for path in self._folder.glob("*.jsonl"):
            new = self._readers.setdefault(path, EventReader(path)).new()
            if new:
                self._last[path] = now, budgeted_bytes([ProcessSample(*row) for row in new[-1]["processes"]])
        self.summed_bytes = sum(size for at_seconds, size in self._last.values() if now - at_seconds < SILENCE_SECONDS)
        self.most_bytes = max(self.most_bytes, here_bytes + self.summed_bytes)
