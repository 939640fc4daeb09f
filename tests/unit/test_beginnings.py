"""Whether a larger job follows one that ended, and what it asks for, from the note that was left."""

import pytest

from somaray.batch import JobEnd
from somaray.beginnings import Beginning, how_it_ended, larger_job, may_be_larger
from somaray.records import Retry

MIB = 2**20
RETRIED = Retry(reason="", memory_bytes=MIB, seen_bytes=None, retried_memory_bytes=2 * MIB)


def note(**changes) -> Beginning:
    fields = {"host": "n1", "system": "slurm", "number": "7", "allocated_mib": 1000, "seen_bytes": 1100 * MIB - 1}
    return Beginning(**{**fields, **changes})


@pytest.fixture
def told(monkeypatch):
    """What Slurm says of every job."""

    def tell(state: str, exit_code: str, largest_mib: int | None = None) -> None:
        monkeypatch.setattr("somaray.batch.ask", lambda job: JobEnd(state, exit_code))
        monkeypatch.setattr("somaray.batch.largest_seen_mib", lambda job: largest_mib)

    return tell


def test_an_end_for_memory_is_followed_by_a_job_with_what_was_needed_and_half_of_it(told) -> None:
    told("FAILED", "0:9")
    larger = larger_job(note(), tries=2, retries=2)
    assert larger == Retry(
        reason="Slurm job 7 got signal 9, 1,100 MiB seen of its 1,000 MiB",
        memory_bytes=1000 * MIB,
        seen_bytes=1100 * MIB,
        retried_memory_bytes=1650 * MIB,
    )


def test_accounting_may_have_seen_more_than_the_samples(told) -> None:
    told("FAILED", "0:9", largest_mib=1600)
    assert larger_job(note(seen_bytes=None), 2, 2).retried_memory_bytes == 2400 * MIB


def test_where_nothing_was_seen_twice_the_memory_is_asked_for(told) -> None:
    told("OUT_OF_MEMORY", "0:125")
    assert larger_job(note(seen_bytes=None), 2, 2).retried_memory_bytes == 2000 * MIB


@pytest.mark.parametrize(
    ("left", "tries", "retries"),
    [
        (None, 2, 2),
        (note(), 1, 2),
        # The larger one is the second try alone, and one more must be left to write the record.
        (note(), 3, 2),
        (note(), 2, 1),
        (note(retried=RETRIED), 2, 2),
        (note(allocated_mib=None), 2, 2),
        (note(seen_bytes=500 * MIB), 2, 2),
    ],
)
def test_otherwise_only_the_record_is_written(told, left, tries, retries) -> None:
    told("FAILED", "0:9")
    assert larger_job(left, tries, retries) is None


@pytest.mark.parametrize("state", ["CANCELLED", "TIMEOUT", "NODE_FAIL"])
def test_other_ends_are_not_for_memory(told, state) -> None:
    told(state, "0:0")
    assert larger_job(note(), 2, 2) is None


def test_what_a_supervisor_stopped_for_a_larger_job_needs_no_word_of_the_scheduler(told) -> None:
    told("FAILED", "1:0")
    left = note(stopped="300 MiB of 250 MiB")
    assert how_it_ended(left) == ("out of memory", "300 MiB of 250 MiB")
    assert larger_job(left, 2, 2).reason == "300 MiB of 250 MiB"
    assert [may_be_larger(tries, retries) for tries, retries in ((1, 2), (2, 2), (1, 1))] == [True, False, False]
