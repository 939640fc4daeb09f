"""What workers elsewhere hold while a run goes on: the last sample of each sampler, until it falls silent."""

import json
from pathlib import Path

import pytest

from somaray.measure import memory_afar
from somaray.measure.captures import SAMPLES
from somaray.measure.memory_afar import SILENCE_SECONDS, MemoryAfar
from somaray.measure.process_tree import ProcessSample


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(memory_afar.time, "monotonic", lambda: now[0])
    return now


def write(folder: Path, name: str, *pss_bytes: int | None, end: str = "\n") -> None:
    rows = [ProcessSample(pid, size, 7, 9, 0.0, 0, 0, "node") for pid, size in enumerate(pss_bytes)]
    (folder / SAMPLES).mkdir(exist_ok=True)
    with (folder / SAMPLES / f"{name}.jsonl").open("a") as stream:
        stream.write(json.dumps({"at_seconds": 1.0, "processes": rows}) + end)


def test_the_last_samples_of_all_are_summed_with_what_is_here(tmp_path, clock) -> None:
    afar = MemoryAfar(tmp_path)
    afar.look(1000)
    assert (afar.summed_bytes, afar.most_bytes) == (0, 1000)
    write(tmp_path, "a", 999)
    write(tmp_path, "a", 10, 20)
    # Where the kernel tells no PSS, RSS stands in; a line without its end is not there yet.
    write(tmp_path, "b", None)
    write(tmp_path, "b", 5000, end="")
    afar.look(1)
    assert afar.summed_bytes == 0, "no more than once a second"
    clock[0] += 1
    afar.look(1000)
    assert (afar.summed_bytes, afar.most_bytes) == (37, 1037)


def test_who_falls_silent_counts_no_more_and_the_most_stays(tmp_path, clock) -> None:
    afar = MemoryAfar(tmp_path)
    write(tmp_path, "lost", 300)
    afar.look(0)
    clock[0] += SILENCE_SECONDS - 1
    write(tmp_path, "other", 40)
    afar.look(0)
    assert afar.summed_bytes == 340
    clock[0] += 1
    afar.look(0)
    assert (afar.summed_bytes, afar.most_bytes) == (40, 340)
