"""Sizes, counts, durations and parallelism, read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from somaray.errors import SomarayError
from somaray.units import (
    Parallelism,
    format_bytes,
    format_count,
    format_seconds,
    parse_bytes,
    parse_count,
    parse_parallelism,
    parse_seconds,
    significant,
)


@given(st.integers(0, 10**4), st.integers(1, 10**4), st.integers(1, 10**4))
def test_parallelism_reads_back_as_written(processes, threads, tile_threads):
    parallelism = Parallelism(processes, threads, tile_threads)
    assert parse_parallelism(str(parallelism)) == parallelism


@pytest.mark.parametrize(("text", "dask_threads"), [("4x4x2", 16), ("0x4x2", 4), ("3x1x8", 3)])
def test_dask_threads_are_those_of_all_workers_or_of_the_driver(text, dask_threads):
    assert parse_parallelism(text).dask_threads == dask_threads


def test_parallelism_sorts_by_number_not_by_text():
    texts = ["10x1x1", "2x1x1", "2x1x10", "2x1x9", "0x8x1"]
    assert [str(p) for p in sorted(map(parse_parallelism, texts))] == ["0x8x1", "2x1x1", "2x1x9", "2x1x10", "10x1x1"]


@pytest.mark.parametrize(
    "text", ["4x4", "4x4x4x4", "ax1x1", "4x0x4", "4x4x0", "-1x4x4", " 4x4x4", "4X4X4", "", 4, None, "4x4x4\n", "٤x4x4"]
)
def test_a_wrong_parallelism_is_named_with_what_is_expected(text):
    with pytest.raises(SomarayError) as error:
        parse_parallelism(text)
    assert repr(text) in str(error.value)


@given(st.integers(1, 10**9))
def test_count_reads_back_as_written(count):
    assert parse_count(format_count(count)) == count


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (100_000, "100k"),
        (1_000_000, "1M"),
        (2048, "2048"),
        (1500, "1500"),
        (1_500_000, "1500k"),
        (5000, "5k"),
        (1, "1"),
    ],
)
def test_count_is_written_as_shortly_as_is_exact(count, text):
    assert format_count(count) == text


@pytest.mark.parametrize("value", ["10q", "0", 0, -5, 1.5, "1.5k", True, None, "", "k", "1K", "1m", "1 k", "٣"])
def test_a_wrong_count_is_named_with_what_is_expected(value):
    with pytest.raises(SomarayError, match="expected a whole number above 0, e.g. 5000, 100k or 1M") as error:
        parse_count(value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [("1GiB", 2**30), ("1 GiB", 2**30), ("16MiB", 2**24), ("500 MB", 500_000_000), ("1.5kB", 1500), (7, 7), ("0", 0)],
)
def test_sizes_are_read(value, size_bytes):
    assert parse_bytes(value) == size_bytes


@pytest.mark.parametrize("value", ["lots", "10q", "-1", -1, "", "GiB", True, None, "1e400", "5 apples"])
def test_a_wrong_size_is_named_with_what_is_expected(value):
    with pytest.raises(SomarayError, match="expected a number of bytes") as error:
        parse_bytes(value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        # The original notes' own figures and how they print them.
        (39731156874, "37 GiB"),
        (5475200190, "5.1 GiB"),
        (2952790016, "2.75 GiB"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (1024, "1 KiB"),
        (int(999.4 * 2**10), "999 KiB"),
        (int(999.6 * 2**10), "0.976 MiB"),
        (2**30, "1 GiB"),
        (1536, "1.5 KiB"),
        (5000 * 2**50, "5000 PiB"),
        (-2048, "-2 KiB"),
    ],
)
def test_sizes_are_written_with_three_digits(size_bytes, text):
    assert format_bytes(size_bytes) == text


@given(st.integers(0, 2**59))
def test_a_written_size_is_right_to_half_a_percent(size_bytes):
    number, unit = format_bytes(size_bytes).split()
    read = float(number) * 1024 ** ("B", "KiB", "MiB", "GiB", "TiB", "PiB").index(unit)
    assert abs(read - size_bytes) <= 0.0051 * size_bytes
    assert len(number.lstrip("0.").replace(".", "")) <= 3


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0, 3, "0"),
        (123456, 3, "123456"),
        (1.005, 3, "1"),
        (0.00012345, 3, "0.000123"),
        (9.999, 3, "10"),
        (-41.26, 3, "-41.3"),
    ],
)
def test_significant_digits(value, digits, text):
    assert significant(value, digits) == text


@pytest.mark.parametrize(
    ("value", "seconds"), [(600, 600), ("600", 600), ("30m", 1800), ("2 hours", 7200), (0.5, 0.5), ("1.5 h", 5400)]
)
def test_durations_are_read(value, seconds):
    assert parse_seconds(value) == seconds


@pytest.mark.parametrize("value", ["soon", 0, -3, "0s", "", "m", True, None, "1e999", "1h30m", "nan", "5 apples"])
def test_a_wrong_duration_is_named_with_what_is_expected(value):
    with pytest.raises(SomarayError, match="expected seconds or e.g. 30m, 2h") as error:
        parse_seconds(value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4249, "0.425 s"),
        (41.26, "41.3 s"),
        (119.4, "119 s"),
        (120, "2 min 0 s"),
        (725.4, "12 min 5 s"),
        (7199.6, "2 h 0 min"),
        (7380, "2 h 3 min"),
        (0, "0 s"),
    ],
)
def test_durations_are_written(seconds, text):
    assert format_seconds(seconds) == text
