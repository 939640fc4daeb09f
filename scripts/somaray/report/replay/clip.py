"""A replay as files: H.264 for browsers, and a short animated picture for Markdown. The same record, the same bytes."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pandas as pd
from PIL import Image

from somaray.errors import SomarayError
from somaray.records import Execution
from somaray.report.replay.course import Course
from somaray.report.replay.frames import Frames
from somaray.report.replay.pace import FRAMES_PER_SECOND, Pace, pace_of
from somaray.report.replay.picture import HEIGHT, WIDTH, picture
from somaray.report.rows import run_of

SHORT_SIZE = (800, 450)
SHORT_FRAMES = 40
SHORT_FRAME_MILLISECONDS = 125
SHORT_HELD_MILLISECONDS = 2000
"""The short one: its frames in 5 s, then its end."""

# Tagged and converted as high-definition television has it, which players assume at this size; one thread, and no word of
# the encoder's or the clock's in the file, so that it is the same each time; what a player needs first comes first.
ENCODING = (
    "-vf scale=out_color_matrix=bt709:out_range=tv:flags=fast_bilinear+bitexact,format=yuv420p "
    "-c:v libx264 -preset superfast -crf 20 -g 100 "
    "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv "
    "-threads 1 -filter_threads 1 -fflags +bitexact -flags:v +bitexact -map_metadata -1 -movflags +faststart"
).split()


def write_replay(
    execution: Execution,
    memory: pd.DataFrame | None,
    tasks: pd.DataFrame | None,
    video: str | Path,
    short: str | Path,
) -> None:
    """Write an execution's replay.

    Parameters
    ----------
    memory, tasks
        What was taken down of it, as `details.columns` reads it.
    video, short
        Files to write, MP4 and WebP.

    Raises
    ------
    SomarayError
        If the encoder fails; what it said is in the message.
    """
    course = Course(execution, memory, tasks)
    pace = pace_of(course.end_seconds)
    run = run_of(execution)
    title = f"{run.dataset} · {run.method} · {run.setting}"
    frames = Frames(course, picture(course, title, subtitle(execution, pace)))
    write_video(frames, pace, video)
    write_short(frames, short)


def subtitle(execution: Execution, pace: Pace) -> str:
    """Say which execution is shown, how fast, and how a failed one ended."""
    what = "the profiled execution" if execution.replicate is None else f"timing {execution.replicate}, unprofiled"
    ended = "" if execution.status == "ok" else f"; ended: {execution.status_text}"
    return f"{execution.n_obs:,} cells; {what}; shown at {pace.words}{ended}"


def write_video(frames: Frames, pace: Pace, path: str | Path) -> None:
    """Encode every frame."""
    source = f"-f rawvideo -pix_fmt rgb24 -s {WIDTH}x{HEIGHT} -r {FRAMES_PER_SECOND} -i -".split()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *source, "-an", *ENCODING, "-f", "mp4", str(path)]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        assert encoder.stderr is not None
        try:
            last: np.ndarray | None = None
            for number in range(pace.frames):
                if last is None or number < pace.moving_frames:
                    last = frames.frame(pace.seconds_at(number, frames.course.end_seconds))
                encoder.stdin.write(last.data)
            encoder.stdin.close()
        except BrokenPipeError:
            pass  # it says why it ended
        said = encoder.stderr.read().decode(errors="replace").strip()
    if encoder.returncode:
        raise SomarayError(f"{path}: ffmpeg ended with {encoder.returncode}: {said}")


def write_short(frames: Frames, path: str | Path) -> None:
    """Write the animated WebP: fewer and smaller frames of the same run, over and over."""
    moments = np.linspace(0.0, frames.course.end_seconds, SHORT_FRAMES)
    images = [
        Image.fromarray(frames.frame(float(seconds))).resize(SHORT_SIZE, Image.Resampling.LANCZOS)
        for seconds in moments
    ]
    durations = [SHORT_FRAME_MILLISECONDS] * (SHORT_FRAMES - 1) + [SHORT_HELD_MILLISECONDS]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    images[0].save(
        path,
        format="WEBP",
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        quality=70,
        method=2,
    )
