"""Run tasks anywhere, take their results in the order of the tasks, and never hold many of them."""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

AHEAD_PER_THREAD = 3
"""Tasks under way or done but not yet taken, a thread: enough that a slow task does not leave the others idle."""


def map_in_order[T, R](
    function: Callable[..., R],
    tasks: Iterable[T],
    client: "Client | None",
    threads: int,
    shared: tuple[Any, ...] = (),
) -> Iterator[R]:
    """Yield `function(task, *shared)` for each task, in order: who adds results up does so in one fixed order.

    Parameters
    ----------
    tasks
        Drawn one by one as results are taken.
    client
        Where to run; None for `threads` threads of this process. What a lost worker was doing or held is done again.
    threads
        Threads in all, with a client too.
    shared
        Arguments common to all tasks: sent once to each worker.
    """
    pending: deque[Any] = deque()
    if client is None:
        with ThreadPoolExecutor(threads) as pool:
            try:
                yield from _window(lambda task: pool.submit(function, task, *shared), tasks, pending, threads)
            finally:
                for future in pending:
                    future.cancel()
        return
    with warnings.catch_warnings():
        # Scattered data is gone with the worker that holds it; the result of a task is made again, at the price of a large
        # graph, of which Dask would warn.
        warnings.filterwarnings("ignore", message="Sending large graph")
        sent = [client.submit(_itself, value, pure=False) for value in shared]
    try:
        # pure=False: two runs of the same task must not share a result.
        yield from _window(lambda task: client.submit(function, task, *sent, pure=False), tasks, pending, threads)
    finally:
        if pending:
            client.cancel(list(pending))


def _itself[V](value: V) -> V:
    return value


def _window[T](submit: Callable[[T], Any], tasks: Iterable[T], pending: deque[Any], threads: int) -> Iterator[Any]:
    for task in tasks:
        pending.append(submit(task))
        if len(pending) >= AHEAD_PER_THREAD * threads:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
