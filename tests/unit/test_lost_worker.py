"""Why an execution ended, where more than one thing went wrong."""

from contextlib import ExitStack

import pytest
from distributed import KilledWorker

from somaray.measure.execute import lost_worker


def killed() -> KilledWorker:
    return KilledWorker("task", None, 3)


def close() -> None:
    raise AssertionError("can only join a started process")


def lose(error: BaseException) -> None:
    with ExitStack() as stack:
        stack.callback(close)
        raise error


def test_a_lost_worker_is_the_reason_though_closing_failed_after_it():
    first = killed()
    with pytest.raises(AssertionError) as caught:
        lose(first)
    assert lost_worker(caught.value) is first


@pytest.mark.parametrize(("error", "expected"), [(ValueError("no"), False), (killed(), True), (None, False)])
def test_only_a_lost_worker_is_one(error, expected):
    assert (lost_worker(error) is not None) == expected
