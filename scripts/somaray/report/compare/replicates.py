"""How sure a ratio of two medians is when each side has two to five replicates.

**What is estimated.** A figure's ratio B ÷ A, from the medians of the replicates of each side. Times and peaks of memory vary
by a share of themselves, so all is done on logarithms, and results are turned back into ratios.

**The interval.** With three replicates a bootstrap that draws the replicates again has ten different samples and no tail; its
intervals are far too short. Instead a *bootstrap-t* is made of drawn samples (Efron & Tibshirani 1993, An Introduction to the
Bootstrap, chapter 12.5; Davison & Hinkley 1997, Bootstrap Methods and their Application, chapter 2.4): the difference of the
logarithms' medians, divided by an estimate of their spread, is held against what the same quotient is for `DRAWS` pairs of
samples of the same sizes without any difference. They are drawn from a normal distribution with a fixed seed; two replicates a
side that borrow no spread give Student's t.

**The spread.** Two or three replicates hardly tell their own spread, but all runs of two sets of results together do. The
spreads of the runs are moderated as in limma (Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3(1):3):
their variances are taken to vary about a common one, the more alike they are the more of it each run is given, and what is
borrowed counts as so many more degrees of freedom, never more than the other runs have. A run that is noisier than that is
judged by its own noise, and none is trusted to repeat better than `LEAST_SPREAD`. The draws follow the same rules.

**Many runs.** Of a hundred equal pairs five would differ at 5 %. The p-values of all runs and figures that can raise an alarm
are therefore corrected together (Holm 1979, Scandinavian Journal of Statistics 6:65-70), which bounds the chance of even one
false alarm.

What replicates of one session cannot tell is how far sessions differ from each other (another neighbour on the machine, a
warmer room): the least change that counts must be above that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

LEVEL = 0.95
"""Of an interval, and 1 − the chance of a false verdict among all."""

DRAWS = 100_000
"""Pairs of samples an interval is made of: enough for the p-values that hundreds of corrected verdicts need."""

SEED = 1

LEAST_SPREAD = 0.005
"""Standard deviation of logarithms (a share) below which none is believed: five replicates that agree by chance, or a peak that
sampling rounds, are no proof of more."""

LEAST_REPLICATES = 2
"""Of each side."""

LEAST_DEGREES = 3
"""Degrees of freedom, borrowed ones counted, below which a verdict hangs on the noise being exactly normal."""

_MOST_BORROWED = 200


@dataclass(frozen=True)
class Pair:
    """The replicates of one figure of one run on both sides, in the figure's own unit; all above 0, and one or more of each."""

    a: tuple[float, ...]
    b: tuple[float, ...]

    @property
    def log_ratio(self) -> float:
        """Difference of the logarithms' medians, B − A."""
        return float(np.median(np.log(self.b)) - np.median(np.log(self.a)))

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the spread within the sides."""
        return len(self.a) + len(self.b) - 2

    @property
    def variance(self) -> float | None:
        """Variance of the logarithms within the sides, at least that of `LEAST_SPREAD`; None where nothing is repeated."""
        if not self.degrees:
            return None
        squares = sum(float(np.var(np.log(side))) * len(side) for side in (self.a, self.b))
        return max(squares / self.degrees, LEAST_SPREAD**2)


@dataclass(frozen=True)
class Common:
    """What the spreads of all runs have in common: a variance of logarithms, worth so many degrees of freedom."""

    variance: float
    degrees: float


@dataclass(frozen=True)
class Change:
    """A ratio of medians B ÷ A with its interval and p-value, both None where there are too few replicates to tell."""

    a: float
    b: float
    ratio: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None

    @property
    def difference(self) -> float:
        """B − A."""
        return self.b - self.a

    @property
    def tells(self) -> bool:
        """Whether there were replicates enough."""
        return self.p_value is not None


def common_spread(pairs: Sequence[Pair]) -> Common | None:
    """Moments of the logarithms of the runs' variances (Smyth 2004, section 6.2); None for fewer than two runs."""
    known = [(pair.variance, pair.degrees) for pair in pairs if pair.variance is not None]
    if len(known) < 2:
        return None
    variances = np.array([variance for variance, _ in known])
    degrees = np.array([each for _, each in known], float)
    logs = np.log(variances) - digamma(degrees / 2) + np.log(degrees / 2)
    excess = float(np.var(logs, ddof=1) - np.mean(polygamma(1, degrees / 2)))
    if excess <= float(polygamma(1, _MOST_BORROWED / 2)):
        # As alike as chance alone makes them: one spread for all.
        return Common(float(np.sum(variances * degrees) / np.sum(degrees)), math.inf)
    half = float(np.exp(brentq(lambda x: float(polygamma(1, np.exp(x))) - excess, -20, math.log(_MOST_BORROWED))))
    return Common(float(np.exp(np.mean(logs) + digamma(half) - math.log(half))), 2 * half)


def changes(pairs: Sequence[Pair]) -> list[Change]:
    """Compare the sides of each pair; all pairs are of one figure, and lend each other their spread."""
    common = common_spread(pairs)
    others = sum(pair.degrees for pair in pairs)
    return [_change(pair, common, others - pair.degrees) for pair in pairs]


def _change(pair: Pair, common: Common | None, degrees_of_others: int) -> Change:
    a, b = median(pair.a), median(pair.b)
    own = pair.variance
    # Whole degrees, rounded down: on the safe side, and few enough to keep their draws.
    borrowed = 0 if common is None else int(min(common.degrees, degrees_of_others, _MOST_BORROWED))
    if (
        own is None
        or min(len(pair.a), len(pair.b)) < LEAST_REPLICATES
        or pair.degrees + borrowed < LEAST_DEGREES
        or not (math.isfinite(a) and math.isfinite(b))
    ):
        return Change(a, b, b / a)
    variance = own
    if common is not None and borrowed:
        moderated = (borrowed * common.variance + pair.degrees * own) / (borrowed + pair.degrees)
        variance = max(own, moderated)
    n_fewer, n_more = sorted((len(pair.a), len(pair.b)))
    draws = _quotients(n_fewer, n_more, borrowed)
    spread = math.sqrt(variance)
    half_width = float(draws[math.ceil(LEVEL * len(draws)) - 1]) * spread
    beyond = len(draws) - int(np.searchsorted(draws, abs(pair.log_ratio) / spread))
    return Change(
        a,
        b,
        b / a,
        math.exp(pair.log_ratio - half_width),
        math.exp(pair.log_ratio + half_width),
        (1 + beyond) / (1 + len(draws)),
    )


@lru_cache(maxsize=64)
def _quotients(n_fewer: int, n_more: int, borrowed: int) -> npt.NDArray[np.float64]:
    """Sizes of the quotient where nothing differs, ascending: `DRAWS` of them."""
    generator = np.random.default_rng([SEED, n_fewer, n_more, borrowed])
    fewer = generator.standard_normal((DRAWS, n_fewer))
    more = generator.standard_normal((DRAWS, n_more))
    degrees = n_fewer + n_more - 2
    squares = fewer.var(axis=1) * n_fewer + more.var(axis=1) * n_more
    variance = squares / degrees
    if borrowed:
        moderated = (squares + generator.chisquare(borrowed, DRAWS)) / (degrees + borrowed)
        variance = np.maximum(variance, moderated)
    differences = np.abs(np.median(more, axis=1) - np.median(fewer, axis=1))
    quotients: npt.NDArray[np.float64] = np.sort(differences / np.sqrt(variance))
    return quotients


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
