"""Sets of joinids, batch labels and strips come back as they went in, and small."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from somaray.methods.onepass.compressed import SPARSE_SPAN_BANDS, JoinIds, Labels, split_into_strips

ids = st.sets(st.integers(0, 3000), min_size=1).map(lambda found: np.array(sorted(found), dtype=np.int64))


@given(ids, st.sampled_from([0, 7, 2**33]))
def test_joinids_come_back(found, offset):
    found = found + offset
    compressed = JoinIds.from_array(found)
    np.testing.assert_array_equal(compressed.to_array(), found)
    assert compressed.to_array().dtype == np.int64
    assert (compressed.first, compressed.last, compressed.count) == (found[0], found[-1], len(found))


@pytest.mark.parametrize(
    ("found", "most_bytes"),
    [
        (np.arange(5, 100_005), 0),
        (np.r_[0:40_000, 60_000:100_000], 16),
        (np.arange(0, 200_000, 2), 25_000),
        (np.arange(0, 100_000_000, 1_000), 800_000),
    ],
    ids=["no holes", "one hole", "every other", "far between"],
)
def test_joinids_are_never_larger_than_runs_or_bits(found, most_bytes):
    assert JoinIds.from_array(found.astype(np.int64)).nbytes <= most_bytes


@given(st.lists(st.integers(-1, 400), min_size=1, max_size=300), st.integers(1, 20))
def test_labels_come_back(codes, repeats):
    codes = np.repeat(np.array(codes, dtype=np.int32), repeats)
    labels = Labels.from_array(codes)
    local = labels.to_array()
    assert np.array_equal(local < 0, codes < 0)
    np.testing.assert_array_equal(labels.batches[local[local >= 0]], codes[codes >= 0])
    np.testing.assert_array_equal(labels.batches, np.unique(codes[codes >= 0]))


def test_labels_of_contiguous_batches_are_stretches():
    labels = Labels.from_array(np.repeat(np.arange(3, dtype=np.int32), 50_000))
    assert labels.local.nbytes + labels.lengths.nbytes < 100


@given(ids, st.sampled_from([1, 8, 64, 2048]))
def test_strips_cover_all_cells_once_within_bounds(found, band_rows):
    strips = list(split_into_strips(found, band_rows))
    assert [strip.begin for strip in strips] == [0, *[strip.end for strip in strips[:-1]]]
    assert strips[-1].end == len(found)
    for strip in strips:
        cells = found[strip.begin : strip.end]
        assert (strip.first, strip.last) == (cells[0], cells[-1])
        assert len(cells) <= band_rows
        assert strip.last - strip.first < SPARSE_SPAN_BANDS * band_rows


def test_strips_of_unbroken_cells_are_whole_bands():
    strips = list(split_into_strips(np.arange(100, 5000), 2048))
    assert [(strip.first, strip.last, strip.dense) for strip in strips] == [
        (100, 2047, True),
        (2048, 4095, True),
        (4096, 4999, True),
    ]


def test_strips_of_scattered_cells_are_joined_and_read_by_name():
    (strip,) = split_into_strips(np.arange(0, 50_000, 1000), 2048)
    assert not strip.dense


def test_no_cells_no_strips():
    assert list(split_into_strips(np.empty(0, dtype=np.int64), 8)) == []
