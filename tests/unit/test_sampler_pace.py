"""How often memory is sampled."""

import pytest

from somaray.measure.sampler import MOST_CPU_SHARE, next_due


@pytest.mark.parametrize(
    ("now", "cpu_seconds", "expected"),
    [
        (10.01, 0.01, 10.2),
        # Late, as on a busy host: at once, and on from there.
        (10.7, 0.01, 10.7),
        # Large processes: less often.
        (10.12, 0.12, 10.0 + 0.12 / MOST_CPU_SHARE),
    ],
)
def test_samples_keep_to_a_grid_and_to_their_share_of_a_core(now, cpu_seconds, expected):
    assert next_due(10.0, now, 0.2, cpu_seconds) == pytest.approx(expected)
