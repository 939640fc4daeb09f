"""The report's first screen, from chosen figures."""

from somaray.records import Retry
from somaray.report.gathered import Gathered
from somaray.report.html.answer import answers, measured_again, trust
from somaray.report.recommend import recommend
from support.made_records import MIB, agreement, allocations, execution, manifest

GIB = 1024 * MIB
FAST, LEAN = {"chunk_size": 200}, {"chunk_size": 100}
HREFS = {"heart/soma-dask/200_2x1x1": "#fast"}


def gathered(fast_seconds: float = 0.1, **changes) -> Gathered:
    """200 rows a chunk are faster and take 12 GiB, 100 take 0.2 s and 3 GiB."""
    return Gathered(
        (manifest(),),
        (execution(20.0, None, **FAST), execution(20.0, None, **LEAN)),
        (
            execution(fast_seconds, 1, peak_pss_bytes=12 * GIB, **FAST, **changes),
            execution(2 * fast_seconds, 1, peak_pss_bytes=3 * GIB, **LEAN),
        ),
        (allocations(**FAST), allocations(**LEAN)),
        (agreement(**FAST), agreement(**LEAN)),
    )


def lines(answer) -> list[tuple[str, str]]:
    return [(title, cells and cells[0].text) for title, cells in answer["lines"]]


def test_budgets_that_come_to_the_same_run_share_a_line_and_each_setting_has_its_program_once() -> None:
    (answer,) = answers(gathered(), HREFS)
    fast, lean = "soma-dask 200_2x1x1", "soma-dask 100_2x1x1"
    assert lines(answer)[:4] == [
        ("Fastest", fast),
        ("Leanest", lean),
        ("In 8 GiB", lean),
        ("In 16 GiB to 64 GiB", fast),
    ]
    assert [cell.text for cell in answer["lines"][0][1]] == [fast, "0.1", "12 GiB", "10,000"]
    assert answer["lines"][0][1][0].href == "#fast"
    assert [title for title, _ in answer["programs"]][:2] == [lean, fast]
    assert all("LocalCluster(n_workers=2, threads_per_worker=1" in code for _, code in answer["programs"][:2])


def test_what_was_never_run_is_told_apart_and_leads_nowhere() -> None:
    own = gathered(1000.0)
    (answer,) = answers(own, HREFS)
    predicted = {
        f"{each.predicted[0].method} {each.predicted[0].setting}"
        for each in recommend(own)
        if each.predicted is not None
    }
    assert predicted, "a run so slow is beaten"
    assert answer["any_predicted"]
    told = [cells for title, cells in answer["lines"] if title.endswith(", predicted")]
    assert {cells[0].text for cells in told} == predicted <= set(dict(answer["programs"]))
    assert all(cells[0].href == "" for cells in told)


def test_a_run_that_outgrew_its_job_is_told_on_the_first_screen() -> None:
    own = gathered(retried=Retry(reason="Slurm job 7", memory_bytes=MIB, seen_bytes=None, retried_memory_bytes=3 * GIB))
    assert ("Runs measured again in a larger job", "1 of 2", False) in trust(own)
    told = "timing-1 measured again in a job of 3 GiB: Slurm job 7"
    assert measured_again(own.rows, HREFS) == [("heart/soma-dask/200_2x1x1", "#fast", told)]
    assert measured_again(gathered().rows, HREFS) == []
    assert all("larger job" not in title for title, _, _ in trust(gathered()))
