"""Parse and print sizes, counts, durations and parallelism: the only place that knows how they are written."""

import math
import re
from dataclasses import dataclass

from dask.utils import parse_bytes as dask_parse_bytes
from dask.utils import parse_timedelta

from somaray.errors import SomarayError

_COUNT = re.compile(r"([0-9]+)([kM]?)")
_PARALLELISM = re.compile(r"([0-9]+)x([0-9]+)x([0-9]+)")
_COUNT_FACTORS = {"": 1, "k": 1_000, "M": 1_000_000}
_IEC_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True, order=True)
class Parallelism:
    """Dask processes × Dask threads in each × TileDB threads, written `4x4x4`.

    `processes` = 0 means no worker process: `threads` Dask threads run inside the driver.
    """

    processes: int
    threads: int
    tile_threads: int

    def __str__(self) -> str:
        return f"{self.processes}x{self.threads}x{self.tile_threads}"

    @property
    def dask_threads(self) -> int:
        """Dask threads in all, in every worker or in the driver."""
        return max(self.processes, 1) * self.threads


def parse_parallelism(text: str) -> Parallelism:
    """Read `PxTxC`.

    Raises
    ------
    SomarayError
        If `text` is not three whole numbers joined by `x`, or threads or TileDB threads are zero.
    """
    match = _PARALLELISM.fullmatch(str(text))
    if match is None:
        raise SomarayError(
            f"{text!r} is not a parallelism: expected PxTxC, Dask processes x Dask threads x TileDB threads, e.g. 4x4x4"
        )
    processes, threads, tile_threads = map(int, match.groups())
    if threads < 1 or tile_threads < 1:
        raise SomarayError(
            f"{text!r} is not a parallelism: Dask threads and TileDB threads are at least 1 (only processes may be 0)"
        )
    return Parallelism(processes, threads, tile_threads)


def parse_count(value: int | str) -> int:
    """Read a count of rows: `5000`, `"100k"`, `"1M"`.

    Raises
    ------
    SomarayError
        If `value` is anything else, or below 1.
    """
    match = None if isinstance(value, bool) else _COUNT.fullmatch(str(value))
    count = int(match[1]) * _COUNT_FACTORS[match[2]] if match else 0
    if count < 1:
        raise SomarayError(f"{value!r} is not a count: expected a whole number above 0, e.g. 5000, 100k or 1M")
    return count


def format_count(count: int) -> str:
    """Write a count as shortly as is exact: 100000 is `100k`, 2048 is `2048`."""
    for suffix in ("M", "k"):
        if count and count % _COUNT_FACTORS[suffix] == 0:
            return f"{count // _COUNT_FACTORS[suffix]}{suffix}"
    return str(count)


def parse_bytes(value: int | str) -> int:
    """Read a size in bytes: `1073741824`, `"1GiB"`, `"500 MB"`.

    Raises
    ------
    SomarayError
        If `value` is not a size.
    """
    try:
        # Dask reads a text without digits as one of its unit.
        size_bytes = int(dask_parse_bytes(value)) if _begins_with_number(value) else -1
    except (ValueError, OverflowError):
        size_bytes = -1
    if size_bytes < 0:
        raise SomarayError(f"{value!r} is not a size: expected a number of bytes, e.g. 16MiB, 4GiB or 1073741824")
    return size_bytes


def _begins_with_number(value: float | str) -> bool:
    return not isinstance(value, bool) and str(value).lstrip()[:1].isdecimal()


def format_bytes(size_bytes: float) -> str:
    """Write bytes with three significant digits in IEC units, trailing zeros left out: `37 GiB`, `5.1 GiB`."""
    size = float(size_bytes)
    for unit in _IEC_UNITS:
        # 999.5 would round to four digits; it is written as 0.98 of the next unit up, as 1000..1023 are.
        if abs(size) < 999.5 or unit == _IEC_UNITS[-1]:
            return f"{significant(size, 3)} {unit}"
        size /= 1024
    raise AssertionError("the last unit takes any size")


def format_bytes_short(size_bytes: float) -> str:
    """Write bytes as `ls -h` and the original notes do, in powers of 1024: `39G`, `7.0G`, `512M`."""
    size, letters = float(size_bytes), "BKMGTP"
    for letter in letters:
        text = f"{size:.1f}" if letter != "B" and round(size, 1) < 10 else f"{size:.0f}"
        if float(text) < 1024 or letter == letters[-1]:
            return text + letter
        size /= 1024
    raise AssertionError("the last unit takes any size")


def significant(value: float, digits: int) -> str:
    """Write `value` with so many significant digits, never in exponents, trailing zeros left out."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_seconds(value: float | str) -> float:
    """Read a duration in seconds: `600`, `"30m"`, `"2 hours"`.

    Raises
    ------
    SomarayError
        If `value` is not a duration above zero.
    """
    try:
        seconds = float(parse_timedelta(value)) if _begins_with_number(value) else 0.0
    except (ValueError, KeyError, OverflowError):
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise SomarayError(f"{value!r} is not a duration: expected seconds or e.g. 30m, 2h")
    return seconds


def format_seconds(seconds: float) -> str:
    """Write seconds as people read them: `0.42 s`, `41.3 s`, `12 min 5 s`, `2 h 3 min`."""
    if seconds < 120:
        return f"{significant(seconds, 3)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
