"""Ratios of medians of few replicates: known answers, properties, and how often equal things are called different."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from somaray.report.compare.replicates import LEAST_SPREAD, Pair, changes, common_spread, holm

SIDES = st.lists(st.floats(0.5, 2000.0), min_size=1, max_size=5).map(tuple)
PAIRS = st.lists(st.builds(Pair, SIDES, SIDES), min_size=1, max_size=3)
# Every pair of sizes needs draws of its own.
few_examples = settings(max_examples=25)


def noisy(generator, n_runs: int, n: int, spread: float = 0.02, ratio: float = 1.0) -> list[Pair]:
    """Runs of different sizes whose replicates vary by a share of themselves."""
    sizes = generator.uniform(1, 100, n_runs)

    def side(size: float) -> tuple[float, ...]:
        return tuple(size * np.exp(generator.normal(0, spread, n)))

    return [Pair(side(size), side(ratio * size)) for size in sizes]


def test_one_run_is_judged_by_its_own_spread_as_student_would() -> None:
    pair = Pair((10.0, 11.0, 12.0), (13.0, 14.0, 16.0))
    a, b = np.log(pair.a), np.log(pair.b)
    variance = (a.var(ddof=1) + b.var(ddof=1)) / 2
    assert pair.variance == pytest.approx(variance)
    (change,) = changes([pair])
    assert (change.a, change.b, change.ratio, change.difference) == (11.0, 14.0, 14 / 11, 3.0)
    # Medians of three spread 1.16 times as widely as means: the interval is that much wider than Student's, roughly.
    student = stats.t.ppf(0.975, 4) * math.sqrt(variance * 2 / 3)
    half_width = math.log(change.high / change.low) / 2
    assert 1.05 < half_width / student < 1.3
    assert math.sqrt(change.low * change.high) == pytest.approx(14 / 11)


def test_equal_spreads_are_shared_and_count_as_the_degrees_they_have() -> None:
    pairs = [Pair((1.0, 1.02), (1.0, 1.02)) for _ in range(40)]
    common = common_spread(pairs)
    assert common.degrees == math.inf
    assert common.variance == pytest.approx(math.log(1.02) ** 2 / 2)
    change = changes(pairs)[0]
    # 78 degrees are borrowed of the other runs and 2 are its own; two replicates have a mean for a median. A little less than
    # Student's, whose draws are not judged by their own spread where that is larger.
    student = stats.t.ppf(0.975, 80) * math.log(1.02) / math.sqrt(2)
    assert 0.92 < math.log(change.high) / student <= 1


def test_moderated_variances_are_those_of_the_formula() -> None:
    # Variances drawn about 1e-4 with 6 degrees of freedom: the moments find them again.
    generator = np.random.default_rng(3)
    pairs = []
    for variance in 6e-4 / generator.chisquare(6, 3000):
        values = np.exp(generator.normal(0, math.sqrt(variance), 8))
        pairs.append(Pair(tuple(values[:4]), tuple(values[4:])))
    common = common_spread(pairs)
    assert common.degrees == pytest.approx(6, rel=0.25)
    assert common.variance == pytest.approx(1e-4, rel=0.1)


def test_a_noisy_run_is_judged_by_its_own_noise() -> None:
    quiet = [Pair((1.0, 1.01, 0.99), (1.0, 1.01, 0.99)) for _ in range(20)]
    noisy_run = Pair((1.0, 1.6, 0.7), (1.5, 1.0, 2.2))
    change = changes([*quiet, noisy_run])[-1]
    assert change.ratio == 1.5
    assert change.low < 1 < change.high


def test_too_few_replicates_have_a_ratio_and_no_interval() -> None:
    for pair in (Pair((1.0,), (2.0,)), Pair((1.0,), (2.0, 2.1, 2.2, 2.3, 2.4)), Pair((1.0, 1.1), (2.0, 2.1))):
        (change,) = changes([pair])
        assert not change.tells
        assert (change.low, change.high, change.p_value) == (None, None, None)
        assert change.ratio == pytest.approx(2.0, abs=0.25)
    # Two replicates a side tell where other runs lend their spread.
    assert all(change.tells for change in changes([Pair((1.0, 1.1), (2.0, 2.1))] * 2))


def test_identical_replicates_are_not_trusted_to_the_last_digit() -> None:
    (change,) = changes([Pair((5.0,) * 5, (5.0,) * 5)])
    assert change.ratio == 1.0
    assert change.p_value == 1.0
    assert 1 - 3 * LEAST_SPREAD < change.low < 1 < change.high < 1 + 3 * LEAST_SPREAD


@few_examples
@given(PAIRS)
def test_swapping_the_sides_inverts_ratio_and_interval(pairs) -> None:
    for forth, back in zip(changes(pairs), changes([Pair(pair.b, pair.a) for pair in pairs]), strict=True):
        assert back.ratio == pytest.approx(1 / forth.ratio)
        assert back.p_value == forth.p_value
        if forth.tells:
            assert (back.low, back.high) == pytest.approx((1 / forth.high, 1 / forth.low))


@few_examples
@given(PAIRS, st.floats(0.001, 1000))
def test_another_unit_changes_nothing(pairs, factor) -> None:
    scaled = [Pair(*(tuple(value * factor for value in side) for side in (pair.a, pair.b))) for pair in pairs]
    for one, other in zip(changes(pairs), changes(scaled), strict=True):
        assert other.ratio == pytest.approx(one.ratio)
        assert (other.p_value is None) == (one.p_value is None)
        if one.tells:
            assert (other.low, other.high) == pytest.approx((one.low, one.high))


@few_examples
@given(PAIRS)
def test_a_side_against_itself_is_1(pairs) -> None:
    for change in changes([Pair(pair.a, pair.a) for pair in pairs]):
        assert change.ratio == 1.0
        if change.tells:
            assert change.low < 1 < change.high
            assert change.p_value == 1.0


@given(st.lists(st.floats(0, 1), max_size=20))
def test_correction_keeps_order_and_never_makes_a_verdict_easier(p_values) -> None:
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [corrected[index] for index in order] == sorted(corrected)


def test_correction_of_a_known_family() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@pytest.mark.parametrize(("n_runs", "n"), [(1, 3), (6, 2), (6, 3)])
def test_equal_things_are_called_different_as_rarely_as_promised(n_runs, n) -> None:
    generator = np.random.default_rng(11)
    false = 0
    for _ in range(300):
        found = holm([change.p_value for change in changes(noisy(generator, n_runs, n))])
        false += min(found) <= 0.05
    # 5 % of 300 are 15; more than 25 come by chance once in 200 times.
    assert false <= 25


def test_noise_of_different_sizes_does_not_raise_the_rate() -> None:
    generator = np.random.default_rng(12)
    false = 0
    for _ in range(300):
        pairs = [noisy(generator, 1, 3, spread)[0] for spread in generator.lognormal(math.log(0.02), 0.7, 8)]
        false += min(holm([change.p_value for change in changes(pairs)])) <= 0.05
    assert false <= 25


def test_a_slowdown_of_15_percent_is_found() -> None:
    generator = np.random.default_rng(13)
    found = sum(
        changes(noisy(generator, 6, 3, ratio=1.15))[0].p_value * 18 <= 0.05 for _ in range(200)
    )  # as the first of 18 verdicts
    assert found >= 190
