"""What figures draw, asked of their artists."""

import numpy as np
import pandas as pd
import pytest

from somaray.matrix import Run
from somaray.records import Phase
from somaray.report.figures.group_bars import group_sums
from somaray.report.figures.heat_maps import MEASURES, heat_map
from somaray.report.figures.memory_over_time import by_process, in_phases_of, memory_over_time
from somaray.report.figures.names import axes_that_vary, figure_files
from somaray.report.figures.scaling import scaling
from somaray.report.figures.style import svg
from somaray.report.figures.task_stream import lanes, merged, task_stream
from somaray.report.figures.trade_off import trade_off
from somaray.report.rows import RunRow, Spread
from somaray.units import Parallelism
from support.made_records import MIB, execution

GIB = 2**30
HOSTILE = "a<b>&'\"$x^{$\n" + "n" * 300


def row(processes: int, chunk: int, seconds: float, gib: float, dataset: str = "heart", status: str = "ok") -> RunRow:
    return RunRow(
        run=Run(dataset, "soma-dask", chunk, Parallelism(processes, 1, 1)),
        origin="measured",
        status=status,
        replicates=3,
        n_obs=1000,
        wall_seconds=Spread(seconds, seconds - 1, seconds + 2),
        peak_pss_bytes=Spread(gib * GIB, gib * GIB, gib * GIB),
    )


ROWS = [row(1, 100, 40, 1), row(2, 100, 20, 2), row(1, 200, 30, 3), row(2, 200, 9, 9, status="failed (x)")]


def tasks(*stretches: tuple) -> pd.DataFrame:
    columns = ["task", "chunk_read", "worker", "thread", "action", "start_seconds", "stop_seconds"]
    return pd.DataFrame(stretches, columns=columns)


def test_heat_map_holds_the_medians_and_crosses_out_what_failed() -> None:
    (axes,) = heat_map(ROWS, MEASURES["time"]).axes
    np.testing.assert_array_equal(axes.images[0].get_array().filled(np.nan), [[40, 20, 30, np.nan]])
    assert [text.get_text() for text in axes.texts] == ["40", "20", "30", "×"]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "100_1x1x1",
        "100_2x1x1",
        "200_1x1x1",
        "200_2x1x1",
    ]


def test_scaling_joins_runs_alike_in_all_else_with_their_range() -> None:
    assert axes_that_vary([each.run for each in ROWS]) == ["processes", "chunk_size"]
    left, right = scaling(ROWS, "processes").axes
    (bars,) = left.containers  # of 200 cells a chunk only one run finished
    line, _, (ranges,) = bars.lines
    np.testing.assert_array_equal(line.get_xydata(), [[1, 40], [2, 20]])
    np.testing.assert_array_equal(ranges.get_segments(), [[[1, 39], [1, 42]], [[2, 19], [2, 22]]])
    np.testing.assert_array_equal(right.containers[0].lines[0].get_xydata(), [[1, 1], [2, 2]])


def test_trade_off_draws_every_finished_run_and_the_front() -> None:
    (axes,) = trade_off(ROWS).axes
    np.testing.assert_array_equal(axes.containers[0].lines[0].get_xydata(), [[40, 1], [20, 2], [30, 3]])
    front = next(line for line in axes.lines if line.get_label() == "best choices")
    np.testing.assert_array_equal(front.get_xydata(), [[20, 2], [40, 1]])


def test_memory_is_stacked_by_process_with_no_peak_lost() -> None:
    samples = pd.DataFrame(
        [
            (i / 5, name, "worker", 1, size, size)
            for i in range(1000)
            for name, size in (("driver", 100), ("worker-0", i % 7))
        ],
        columns=["seconds", "process", "role", "pid", "pss_bytes", "rss_bytes"],
    )
    bands = by_process(samples, most_moments=50)
    assert list(bands.columns) == ["driver", "worker-0"]
    assert len(bands) == 50
    assert bands.sum(axis=1).max() == 106


def test_processes_beyond_eight_share_a_band() -> None:
    samples = pd.DataFrame(
        [(0.0, f"worker-{i}", "worker", i, i + 1, i + 1) for i in range(12)],
        columns=["seconds", "process", "role", "pid", "pss_bytes", "rss_bytes"],
    )
    bands = by_process(samples)
    assert list(bands.columns) == [*(f"worker-{i}" for i in range(4, 12)), "other processes"]
    assert bands["other processes"].item() == 1 + 2 + 3 + 4


def test_stretches_of_one_lane_and_kind_are_merged_over_small_gaps() -> None:
    stream = tasks(
        ("read", True, "worker-10", 0, "compute", 0.0, 1.0),
        ("read", True, "worker-2", 0, "compute", 0.0, 1.0),
        ("read", True, "worker-2", 0, "compute", 1.05, 2.0),
        ("read", True, "worker-2", 0, "compute", 3.0, 4.0),
        ("sum", False, "worker-2", 0, "transfer", 2.0, 3.0),
    )
    assert list(lanes(stream)) == [1, 0, 0, 0, 0]
    found = merged(stream, 0.1).to_dict("split", index=False)["data"]
    assert found == [
        [0, "read a chunk", 0.0, 2.0],
        [0, "read a chunk", 3.0, 4.0],
        [0, "transfer", 2.0, 3.0],
        [1, "read a chunk", 0.0, 1.0],
    ]


def test_figures_say_that_there_is_nothing() -> None:
    for figure in (
        trade_off([]),
        heat_map([], MEASURES["speed"]),
        scaling([], "threads"),
        task_stream(execution(), None),
        memory_over_time(execution(), None, None, None),
    ):
        assert svg(figure).startswith("<?xml")
    assert group_sums(()) == {}


@pytest.mark.parametrize("draw", [trade_off, lambda rows: heat_map(rows, MEASURES["memory"])])
def test_the_same_rows_give_the_same_bytes_and_hostile_names_stay_text(draw) -> None:
    from xml.etree import ElementTree

    rows = [row(1, 100, 40, 1, HOSTILE), row(1, 100, 40, 1, "heart")]
    text = svg(draw(rows))
    assert text == svg(draw(rows))
    ElementTree.fromstring(text)
    assert "a<b>" not in text
    assert "a&lt;b&gt;&amp;" in text


def test_names_of_figures_follow_the_runs() -> None:
    whole, chunked = Run("heart", "in-memory"), Run("heart", "soma-dask", 100, Parallelism(1, 1, 1))
    assert figure_files([whole, chunked]) == [
        "time.svg",
        "memory.svg",
        "speed.svg",
        "time_memory.svg",
        "hvg/heart/in-memory/whole/memory.svg",
        "hvg/heart/in-memory/whole/groups.svg",
        "hvg/heart/soma-dask/100_1x1x1/memory.svg",
        "hvg/heart/soma-dask/100_1x1x1/tasks.svg",
        "hvg/heart/soma-dask/100_1x1x1/groups.svg",
    ]


def test_chunk_starts_and_phases_are_where_they_were() -> None:
    samples = pd.DataFrame(
        [(s, "driver", "driver", 1, 100 * MIB, 0) for s in (0.0, 10.0)],
        columns=["seconds", "process", "role", "pid", "pss_bytes", "rss_bytes"],
    )
    stream = tasks(
        ("read", True, "worker-0", 0, "compute", 3.5, 4.0), ("sum", False, "worker-0", 0, "compute", 5.0, 6.0)
    )
    upper, _ = memory_over_time(execution(10.0), samples, stream, None).axes
    assert [line.get_xdata().tolist() for line in upper.lines] == [[3.5]]
    assert [text.get_text().strip() for text in upper.texts] == ["cluster", "hvg"]


def test_memory_and_tasks_of_a_run_share_their_axis_of_time() -> None:
    samples = pd.DataFrame(
        [(s, "driver", "driver", 1, 100 * MIB, 0) for s in (0.0, 10.2)],
        columns=["seconds", "process", "role", "pid", "pss_bytes", "rss_bytes"],
    )
    stream = tasks(("read", True, "a-worker-of-a-long-name", 0, "compute", 3.5, 4.0))
    upper, lower = memory_over_time(execution(10.0), samples, stream, None).axes
    (below,) = task_stream(execution(10.0), stream, samples).axes
    assert upper.get_xlim() == lower.get_xlim() == below.get_xlim() == (0.0, 10.2)
    assert len({(axes.get_position().x0, axes.get_position().x1) for axes in (upper, lower, below)}) == 1
    # Without a heap there is still a scale to read moments off, and the phases.
    assert lower.axison
    assert [(patch.get_x(), patch.get_width()) for patch in lower.patches] == [(0.0, 2.0)]


def phase(name: str, start_seconds: float, end_seconds: float) -> Phase:
    return Phase(name=name, start_seconds=start_seconds, end_seconds=end_seconds)


def test_heaps_of_a_slower_capture_stand_below_the_same_phases() -> None:
    samples = pd.DataFrame(
        [(s, "driver", "driver", 1, 100 * MIB, 0) for s in (0.0, 10.0)],
        columns=["seconds", "process", "role", "pid", "pss_bytes", "rss_bytes"],
    )
    heap = pd.DataFrame({"process": "driver", "seconds": [0.0, 4.0, 22.0, 40.0], "heap_bytes": [0, MIB, 3 * MIB, MIB]})
    timing = execution(10.0)
    cluster, hvg = timing.phases
    assert (cluster.end_seconds, hvg.end_seconds) == (2.0, 10.0)
    slow = (phase("cluster", 0.0, 4.0), phase("hvg", 4.0, 40.0))
    upper, lower = memory_over_time(timing, samples, None, heap, execution(40.0, None, phases=slow)).axes
    assert lower.lines[0].get_xdata().tolist() == [0.0, 2.0, 6.0, 10.0]
    assert upper.get_xlim() == lower.get_xlim() == (0.0, 10.0)


def test_what_lies_beyond_the_phases_that_are_alike_keeps_its_distance() -> None:
    own = (phase("cluster", 0.0, 4.0), phase("open", 4.0, 5.0))
    others = (phase("cluster", 0.0, 2.0), phase("hvg", 2.0, 9.0))
    assert in_phases_of(np.array([-1.0, 2.0, 4.0, 7.0]), own, others).tolist() == [-1.0, 1.0, 2.0, 5.0]
    assert in_phases_of(np.array([3.0]), (), others).tolist() == [3.0]
