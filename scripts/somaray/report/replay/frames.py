"""Frames of a clip: the picture uncovered up to a moment, a cursor there, and the readings of that moment."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from somaray.report.figures.style import INK, PALETTE, PAPER, label
from somaray.report.replay.course import Course, Moment
from somaray.report.replay.picture import LEFT, READINGS, READINGS_BOTTOM, READINGS_TOP, RIGHT, WIDTH, Picture
from somaray.units import format_bytes

CURSOR_COLUMNS = 2

BAD, GOOD = "#a40e26", "#116329"
"""Colours of a word about the end."""


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The face that matplotlib brings with it: the same on every host."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def clock(seconds: float, end_seconds: float) -> str:
    """Write a moment with as many digits as can be followed."""
    if end_seconds < 100:
        return f"{seconds:.2f} s"
    hours, rest = divmod(int(seconds), 3600)
    text = f"{rest // 60:02d}:{rest % 60:02d}"
    return f"{hours}:{text}" if end_seconds >= 3600 else text


class Frames:
    """Every frame of a clip, made when asked for."""

    def __init__(self, course: Course, picture: Picture) -> None:
        self.course = course
        self.picture = picture
        self._font = _font(20)
        self._dash = (np.arange(WIDTH) // 5) % 2 == 0

    def frame(self, seconds: float) -> np.ndarray:
        """Draw the frame of a moment: height × width × 3 unsigned bytes."""
        picture, moment = self.picture, self.course.at(seconds)
        ended = seconds >= self.course.end_seconds
        out = picture.empty.copy()
        column = picture.column(seconds)
        cursor = _rgb(INK if self.course.well or not ended else BAD)
        for panel in picture.panels:
            rows = slice(panel.top, panel.bottom)
            out[rows, LEFT:column] = picture.full[rows, LEFT:column]
            out[rows, column : column + CURSOR_COLUMNS] = cursor
        if picture.top_bytes is not None and moment.peak_bytes:
            row = max(picture.row(moment.peak_bytes), picture.panels[-1].top)
            out[row, LEFT:column][self._dash[: column - LEFT]] = _rgb(INK)
        out[READINGS_TOP:READINGS_BOTTOM] = self._readings(seconds, moment, ended)
        return out

    def _readings(self, seconds: float, moment: Moment, ended: bool) -> np.ndarray:
        strip = Image.new("RGB", (WIDTH, READINGS_BOTTOM - READINGS_TOP), PAPER)
        draw = ImageDraw.Draw(strip)
        told = list(self._told(seconds, moment, ended))
        for (column, text, colour), after in zip(told, [*told[1:], None], strict=True):
            room = (after[0] if after else RIGHT + 20) - column - 14
            draw.text((column, 4), self._fitting(text, room), font=self._font, fill=colour)
        return np.asarray(strip)

    def _fitting(self, text: str, room: float) -> str:
        shown = label(text, 60)
        while self._font.getlength(shown) > room and len(shown) > 1:
            shown = shown[:-2] + "…"
        return shown

    def _told(self, seconds: float, moment: Moment, ended: bool) -> Iterator[tuple[int, str, str]]:
        """Give column, text and colour of each reading, from left to right."""
        yield READINGS["run time"], clock(seconds, self.course.end_seconds), INK
        if not ended:
            yield READINGS["phase"], moment.phase, INK
        elif self.course.well:
            yield READINGS["phase"], "ended well", GOOD
        else:
            yield READINGS["phase"], self.course.execution.status, BAD
        yield READINGS["memory now"], "–" if moment.summed_bytes is None else format_bytes(moment.summed_bytes), INK
        yield READINGS["its peak so far"], "–" if moment.peak_bytes is None else format_bytes(moment.peak_bytes), INK
        if moment.chunk_reads is not None:
            yield READINGS["chunks read"], f"{moment.chunk_reads}", INK
            yield READINGS["threads busy"], f"{moment.busy_threads} of {self.course.threads}", PALETTE[0]
