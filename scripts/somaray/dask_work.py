"""What Dask did in an execution, as its scheduler saw it: a part of the record of an execution."""

from somaray.settings import Part


class DaskWork(Part, frozen=True, kw_only=True):
    """Graphs, tasks and trouble of one execution.

    `graph_bytes` is the serialised size of all `n_graphs` graphs that the client sent. `n_tasks` came to their end, in
    `compute_seconds` summed over the workers' threads. `task_bytes` is the largest serialised task that a worker was sent, of
    the first of each kind. Workers paused `n_pauses` times, `paused_seconds` in all. `spilled_bytes` were written to disk by
    workers that lived to the end; None where the execution ended badly.
    """

    n_graphs: int
    graph_bytes: int
    n_tasks: int
    task_bytes: int
    compute_seconds: float
    n_pauses: int
    paused_seconds: float
    spilled_bytes: int | None
