"""Totals that obs claims (`raw_sum`) spare `one-pass` a read, and keeping what it read; they are checked, and never trusted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from somaray.methods.onepass import passes
from somaray.methods.onepass.kept import Kept
from somaray.settings import HvgSettings
from support.against_scanpy import assert_agrees, one_pass
from support.small_store import random_counts, write_store

pytestmark = pytest.mark.filterwarnings("ignore")
BATCHES = np.random.default_rng(2).choice(["a", "b", "c"], 300)
SETTINGS = [
    HvgSettings(batch_key=None),
    HvgSettings(batch_key="batch"),
    HvgSettings(target_sum=1e4),
    HvgSettings(flavor="cell_ranger"),
    HvgSettings(flavor="cell_ranger", batch_key="batch"),
    HvgSettings(flavor="cell_ranger", target_sum=1e4),
]
FALSE = {
    "one cell": lambda totals: np.where(np.arange(300) == 250, totals + 1, totals),
    "all": lambda totals: totals * 1.5,
    "zeros": lambda totals: totals * 0,
    "undefined": lambda totals: np.where(np.arange(300) == 3, np.nan, totals),
    "negative": lambda totals: -totals,
}


@pytest.fixture(scope="module")
def counts():
    """300 cells of a dozen counts for most of 400 genes, some of them large, and one empty cell."""
    made = random_counts(5, 300, 400, 0.5, 60).toarray()
    made[7] = 0
    made[:, 0] = 1
    return made[:, made.any(axis=0)]


@pytest.fixture(scope="module")
def claiming(counts, tmp_path_factory):
    """Make a store whose obs claims totals; without any if there is no claim."""
    from scipy import sparse

    made = {}

    def make(name, claim=None):
        if name not in made:
            obs = {"batch": BATCHES} | (
                {} if claim is None else {"raw_sum": claim(counts.sum(axis=1).astype(np.float64))}
            )
            folder = tmp_path_factory.mktemp("claiming")
            source = write_store(folder / "x", sparse.coo_matrix(counts), obs, tile=64)
            # So small that a strip comes in many batches.
            made[name] = replace(source, tiledb={"soma.init_buffer_bytes": "4096"})
        return made[name]

    return make


@pytest.fixture
def kept(monkeypatch):
    """How many batches were kept whenever one was added."""
    numbers = []

    class Noting(Kept):
        def add(self, coordinates, totals):
            fine = super().add(coordinates, totals)
            numbers.append(sum(1 for _ in self))
            return fine

    monkeypatch.setattr("somaray.methods.onepass.kept.Kept", Noting)
    return numbers


@pytest.mark.parametrize("hvg", SETTINGS, ids=str)
def test_true_claims_give_the_same_bytes_and_keep_nothing(claiming, kept, hvg):
    expected = one_pass(claiming("none"), hvg, 37)
    assert max(kept) > 1
    kept.clear()
    found = one_pass(claiming("true", lambda totals: totals), hvg, 37)
    assert set(kept) == {1}
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("hvg", SETTINGS, ids=str)
@pytest.mark.parametrize("claim", FALSE)
def test_false_claims_change_nothing(claiming, kept, claim, hvg):
    expected = one_pass(claiming("none"), hvg, 37)
    kept.clear()
    found = one_pass(claiming(claim, FALSE[claim]), hvg, 37)
    assert max(kept) > 1
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("hvg", [HvgSettings(), HvgSettings(flavor="cell_ranger")], ids=str)
def test_words_under_the_name_of_totals_are_none(claiming, hvg):
    expected = one_pass(claiming("none"), hvg, 37)
    found = one_pass(claiming("words", lambda totals: np.where(totals > 9, "many", "few")), hvg, 37)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("claim", ["true", "false"])
def test_the_target_follows_from_claims(claiming, claim, monkeypatch):
    source = claiming(claim, lambda totals: totals if claim == "true" else totals * 1.5)
    quantities = []
    original = passes.read_x

    def noted(selection, quantity, *arguments, **options):
        quantities.append(quantity)
        return original(selection, quantity, *arguments, **options)

    monkeypatch.setattr("somaray.methods.one_pass.read_x", noted)
    hvg = HvgSettings(flavor="cell_ranger")
    if claim == "false":
        with pytest.warns(UserWarning, match="raw_sum gives a median of"):
            assert_agrees(source, hvg)
    else:
        assert_agrees(source, hvg)
    assert quantities == (["logs"] if claim == "true" else ["logs", "logs"])

    quantities.clear()
    assert_agrees(replace(source, var_filter="rank > 30"), hvg)
    assert quantities == ["totals", "logs"]

    quantities.clear()
    assert_agrees(source, HvgSettings(flavor="cell_ranger", target_sum=1e4))
    assert quantities == ["logs"]
