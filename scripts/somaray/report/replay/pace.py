"""How fast a clip goes, and which moments of a run it shows. Pure."""

from itertools import count
from typing import NamedTuple

FRAMES_PER_SECOND = 25

MOST_MOVING_SECONDS = 16.0
"""Longest stretch of a clip in which something moves."""

HELD_FRAMES = 49
"""So long the end stands still, to be read."""

LEAST_FACTOR_EXPONENT = -2


class Pace(NamedTuple):
    """Seconds of the run that pass in a second of the clip, and frames in which they pass, the first at 0 among them."""

    factor: float
    moving_frames: int

    def seconds_at(self, frame: int, end_seconds: float) -> float:
        """Moment of the run that a frame shows."""
        if frame >= self.moving_frames - 1:
            return end_seconds
        return min(frame * self.factor / FRAMES_PER_SECOND, end_seconds)

    @property
    def frames(self) -> int:
        """All frames of the clip."""
        return self.moving_frames + HELD_FRAMES

    @property
    def words(self) -> str:
        """The factor as a clip tells it, e.g. `0.5× (slower)`."""
        how = "as fast as it was" if self.factor == 1 else "time-lapse" if self.factor > 1 else "slow motion"
        return f"{self.factor:g}×, {how}"


def pace_of(end_seconds: float) -> Pace:
    """Choose the smallest of the factors …, 0.5, 1, 2, 5, 10, … that shows a run in `MOST_MOVING_SECONDS`."""
    for exponent in count(LEAST_FACTOR_EXPONENT):
        for digit in (1, 2, 5):
            # Divided, so that 0.1 is the nearest to it there is.
            factor = digit * 10.0**exponent if exponent >= 0 else digit / 10.0**-exponent
            if end_seconds <= factor * MOST_MOVING_SECONDS:
                steps = -int(-end_seconds * FRAMES_PER_SECOND // factor)
                return Pace(factor, steps + 1)
    raise AssertionError("counting has no end")
