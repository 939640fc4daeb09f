"""The index of results, every line of it, and pictures in Markdown."""

from somaray.report.gathered import Gathered
from somaray.report.index import index
from somaray.report.tables import runs_markdown
from support.made_records import MIB, agreement, allocations, check, execution, manifest

GOLDEN = """\
# Results

## heart

|  | method | run | time (s) | memory |
| :-- | :-- | :-- | --: | --: |
| fastest | soma-dask | [100\\_2x1x1](hvg/heart/soma-dask/100_2x1x1/) | 10 | 500 MiB |
| leanest | soma-dask | [200\\_2x1x1](hvg/heart/soma-dask/200_2x1x1/) | 12 | 300 MiB |
| fastest within 8 GiB to 64 GiB | soma-dask | [100\\_2x1x1](hvg/heart/soma-dask/100_2x1x1/) | 10 | 500 MiB |

![Time against memory of every finished run](plots/time_memory.svg)

2 runs, 4 executions. None failed, no result disagrees.

"""


def gathered(seconds: float | None = 10.0, **changes) -> Gathered:
    other = {"chunk_size": 200}
    return Gathered(
        (manifest(),),
        (execution(20.0, None), execution(20.0, None, **other)),
        (execution(seconds, 1, **changes), execution(12.0, 1, peak_pss_bytes=300 * MIB, **other)),
        (allocations(), allocations(**other)),
        (agreement(check()), agreement(check(), **other)),
    )


def test_index_begins_with_what_to_use() -> None:
    text = index(gathered())
    before, _, after = text.partition("| File |")
    assert before == GOLDEN
    assert "| [report.html](report.html) | everything on one page" in after
    assert "- [heart/soma-dask/200\\_2x1x1](hvg/heart/soma-dask/200_2x1x1/)" in after


def test_index_leads_to_replays_where_there_are_some() -> None:
    assert "2x1x1/), [video](hvg/heart/soma-dask/200_2x1x1/replay.mp4)\n" in index(gathered(), replay=True)
    assert "replay" not in index(gathered())


def test_index_names_what_failed() -> None:
    text = index(gathered(None, status="failed", reason="ValueError: <b>"))
    assert (
        "**Some failed or disagree:**\n\n- heart/soma-dask/100\\_2x1x1 timing-1: failed (ValueError: \\<b\\>)\n" in text
    )


def test_tables_show_their_figure_where_there_is_one() -> None:
    own = gathered()
    picture = "![Time against memory of every finished run](../plots/time_memory.svg)\n"
    assert picture in runs_markdown(own.rows, own.timings, plots="../plots")
    assert "![" not in runs_markdown(own.rows, own.timings)
