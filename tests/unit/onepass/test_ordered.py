"""Results come in the order of the tasks, few are held, and nothing is left behind."""

import threading
import time

import pytest

from somaray.methods.onepass.ordered import AHEAD_PER_THREAD, map_in_order


def slow_when_even(task, shared=0):
    time.sleep(0.01 if task % 2 == 0 else 0)
    return task + shared


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_order_is_that_of_the_tasks(threads):
    assert list(map_in_order(slow_when_even, range(20), None, threads, (100,))) == list(range(100, 120))


def test_tasks_are_drawn_as_results_are_taken():
    drawn = []

    def tasks():
        for task in range(100):
            drawn.append(task)
            yield task

    results = map_in_order(slow_when_even, tasks(), None, 2)
    for _ in range(10):
        next(results)
    assert len(drawn) <= 10 + 2 * AHEAD_PER_THREAD
    results.close()


def test_an_error_stops_the_rest():
    begun = []
    lock = threading.Lock()

    def fail_at_third(task):
        with lock:
            begun.append(task)
        if task == 3:
            raise ValueError("third")
        time.sleep(0.005)

    with pytest.raises(ValueError, match="third"):
        list(map_in_order(fail_at_third, range(1000), None, 2))
    assert len(begun) <= 4 + 2 * AHEAD_PER_THREAD


def test_no_tasks():
    assert list(map_in_order(slow_when_even, [], None, 2)) == []
