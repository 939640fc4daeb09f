"""A replay's frames, decoded, against the record it was made from."""

import math

import imageio_ffmpeg
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from somaray.records import Phase
from somaray.report.replay.clip import SHORT_SIZE, write_replay
from somaray.report.replay.course import Course
from somaray.report.replay.frames import BAD, Frames
from somaray.report.replay.pace import FRAMES_PER_SECOND, HELD_FRAMES, MOST_MOVING_SECONDS, pace_of
from somaray.report.replay.picture import HEIGHT, LEFT, MEMORY, READINGS_BOTTOM, READINGS_TOP, RIGHT, WIDTH, picture
from support.made_records import MIB, execution

END_SECONDS = 3.25
PACE = pace_of(END_SECONDS)
PHASES = (
    Phase(name="cluster", start_seconds=0.0, end_seconds=1.0),
    Phase(name="hvg", start_seconds=1.0, end_seconds=END_SECONDS),
)
RUN = execution(END_SECONDS, phases=PHASES)

MEMORY_TABLE = pd.DataFrame(
    [
        (seconds, name, "worker", 1, size, size)
        for seconds in np.arange(0.0, 3.5, 0.2)
        for name, size in (("driver", 300 * MIB), ("worker-0", 100 * MIB), ("worker-1", 200 * MIB * (seconds > 1.5)))
    ],
    columns=["seconds", "process", "role", "pid", "pss_bytes", "rss_bytes"],
)
TASK_TABLE = pd.DataFrame(
    [
        ("read", True, "worker-0", 0, "compute", 1.0, 2.0),
        ("sum", False, "worker-1", 0, "compute", 2.0, 2.5),
    ],
    columns=["task", "chunk_read", "worker", "thread", "action", "start_seconds", "stop_seconds"],
)
READ_LANE, SUM_LANE, BETWEEN_LANES = 237, 335, 286
"""Rows of the two lanes' middles, and one between them, in a panel from row 188 to 384."""

DRIVER_ROW = MEMORY[1] - 40
"""Well within the driver's 300 of at most 600 MiB, in a panel of 170 rows."""

BLUE = (0, 114, 178)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    write_replay(RUN, MEMORY_TABLE, TASK_TABLE, folder / "replay.mp4", folder / "replay.webp")
    return folder


@pytest.fixture(scope="module")
def decoded(clip):
    """What the file says of itself, the number of its frames, and those that tests look at, by number."""
    reader = imageio_ffmpeg.read_frames(str(clip / "replay.mp4"), pix_fmt="rgb24")
    about = next(reader)
    wanted = {frame_of(seconds) for seconds in (0.0, 0.9, 1.5, 2.2, 3.0)} | {PACE.frames - 1}
    kept, number = {}, 0
    for raw in reader:
        if number in wanted:
            kept[number] = np.frombuffer(raw, np.uint8).reshape(HEIGHT, WIDTH, 3).astype(int)
        number += 1
    return about, number, kept


def frame_of(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND / PACE.factor)


def column(seconds: float) -> float:
    return LEFT + (RIGHT - LEFT) * seconds / END_SECONDS


def is_like(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Which pixels have a colour, as near as the encoder keeps it."""
    return np.abs(pixels - np.array(colour)).max(axis=-1) < 40


def test_size_rate_and_duration_are_those_of_the_run(decoded) -> None:
    about, frames, _ = decoded
    assert about["size"] == (WIDTH, HEIGHT)
    assert about["fps"] == FRAMES_PER_SECOND
    assert about["codec"] == "h264"
    assert about["pix_fmt"].startswith("yuv420p")
    assert PACE.factor == 0.5
    assert frames == PACE.frames == math.ceil(END_SECONDS / 0.5 * FRAMES_PER_SECOND) + 1 + HELD_FRAMES


@pytest.mark.parametrize("seconds", [0.0, 0.9, 1.5, 2.2, 3.0])
def test_the_cursor_stands_at_the_moment_a_frame_shows(decoded, seconds) -> None:
    first = LEFT + 2 * (seconds > 0)  # an axis is where time begins
    line = decoded[2][frame_of(seconds)][BETWEEN_LANES, first : RIGHT + 3]
    dark = np.flatnonzero(line.max(axis=-1) < 110) + first
    assert abs(dark.mean() - column(seconds)) <= 2
    assert len(dark) <= 4


@pytest.mark.parametrize("seconds", [0.9, 1.5, 2.2, 3.0])
def test_memory_is_filled_up_to_the_moment_and_no_further(decoded, seconds) -> None:
    line = decoded[2][frame_of(seconds)][DRIVER_ROW]
    edge = round(column(seconds))
    assert is_like(line[LEFT + 4 : edge - 4], BLUE).all()
    assert not is_like(line[edge + 6 : RIGHT], BLUE).any()
    assert line[edge + 8 : RIGHT].min() > 180, "nothing but ground and grid lies ahead"


def test_a_task_has_its_colour_only_once_it_ran(decoded) -> None:
    kept = decoded[2]
    start, stop = round(column(1.0)), round(column(2.0))

    def coloured(seconds: float, row: int) -> np.ndarray:
        return np.flatnonzero(is_like(kept[frame_of(seconds)][row, LEFT + 4 : RIGHT - 4], BLUE)) + LEFT + 4

    assert len(coloured(0.9, READ_LANE)) == 0
    half, whole = coloured(1.5, READ_LANE), coloured(2.2, READ_LANE)
    assert abs(half.min() - start) <= 3
    assert abs(half.max() - column(1.5)) <= 4
    assert abs(whole.min() - start) <= 3
    assert abs(whole.max() - stop) <= 3
    orange = is_like(kept[frame_of(3.0)][SUM_LANE], (230, 159, 0))
    assert abs(np.flatnonzero(orange).min() - column(2.0)) <= 3
    assert not is_like(kept[frame_of(1.5)][SUM_LANE], (230, 159, 0)).any()


def test_the_last_frame_shows_all(decoded) -> None:
    last = decoded[2][PACE.frames - 1]
    assert is_like(last[DRIVER_ROW, LEFT + 4 : RIGHT - 4], BLUE).all()


def test_the_short_picture_is_small_and_tells_the_whole_run(clip) -> None:
    assert (clip / "replay.webp").stat().st_size < 1_000_000
    with Image.open(clip / "replay.webp") as short:
        assert short.size == SHORT_SIZE
        durations = []
        for number in range(short.n_frames):
            short.seek(number)
            short.load()  # what it tells of a frame comes with the frame
            durations.append(short.info["duration"])
        assert 5000 <= sum(durations) <= 8000
        row = DRIVER_ROW * SHORT_SIZE[1] // HEIGHT
        last = np.asarray(short.convert("RGB")).astype(int)[row]
    assert is_like(last[100:770], BLUE).all()


def test_the_same_record_gives_the_same_bytes(clip, tmp_path) -> None:
    write_replay(RUN, MEMORY_TABLE, TASK_TABLE, tmp_path / "replay.mp4", tmp_path / "replay.webp")
    for name in ("replay.mp4", "replay.webp"):
        assert (tmp_path / name).read_bytes() == (clip / name).read_bytes()


def test_readings_are_those_of_the_record() -> None:
    course = Course(RUN, MEMORY_TABLE, TASK_TABLE)
    assert course.at(0.5) == ("cluster", 400 * MIB, 400 * MIB, 0, 0)
    assert course.at(1.5) == ("hvg", 400 * MIB, 400 * MIB, 0, 1)
    assert course.at(2.0) == ("hvg", 600 * MIB, 600 * MIB, 1, 1)
    assert course.at(END_SECONDS) == ("ended", 600 * MIB, 600 * MIB, 1, 0)


def test_a_failed_run_ends_where_it_failed_and_says_so() -> None:
    failed = execution(None, status="out of memory", reason="12.1 of 12 GiB", phases=PHASES[:1])
    course = Course(failed, MEMORY_TABLE[MEMORY_TABLE["seconds"] < 2.9], None)
    assert course.end_seconds == pytest.approx(2.8)
    assert course.at(2.0) == ("a phase that did not end", 600 * MIB, 600 * MIB, None, None)
    frames = Frames(course, picture(course, "t", "s"))
    red = np.array([int(BAD[index : index + 2], 16) for index in (1, 3, 5)])
    before, after = frames.frame(2.7), frames.frame(course.end_seconds)
    assert not (before == red).all(axis=-1).any()
    assert (after[READINGS_TOP:READINGS_BOTTOM] == red).all(axis=-1).any(), "the word for how it ended"
    assert (after[600, RIGHT : RIGHT + 2] == red).all(), "and the cursor at the end"


def test_a_run_of_which_nothing_was_seen_has_a_replay_that_says_so(tmp_path) -> None:
    nothing = execution(None, status="unsupported", reason="no such flavour", phases=())
    write_replay(nothing, None, None, tmp_path / "replay.mp4", tmp_path / "replay.webp")
    assert (tmp_path / "replay.mp4").stat().st_size > 1000


@pytest.mark.parametrize(
    ("end_seconds", "factor"),
    [(0.01, 0.01), (3.2, 0.2), (3.25, 0.5), (8.0, 0.5), (16.0, 1), (16.1, 2), (100.0, 10), (36_000.0, 5000)],
)
def test_any_run_fits_into_a_clip(end_seconds, factor) -> None:
    pace = pace_of(end_seconds)
    assert pace.factor == factor
    assert pace.moving_frames / FRAMES_PER_SECOND <= MOST_MOVING_SECONDS + 1 / FRAMES_PER_SECOND
    assert pace.seconds_at(0, end_seconds) == 0
    assert pace.seconds_at(pace.moving_frames - 2, end_seconds) < end_seconds
    assert pace.seconds_at(pace.frames - 1, end_seconds) == end_seconds
