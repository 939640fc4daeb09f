"""Make the video of one run and the short picture of it."""

from pathlib import Path

from somaray.console import script_log
from somaray.records import Execution, read_record
from somaray.report.details import columns, most_typical
from somaray.report.replay.clip import write_replay

given, output = snakemake.input, snakemake.output
with script_log(snakemake.log[0]):
    shown = most_typical(
        read_record(given.capture, Execution),
        [read_record(path, Execution) for path in given.timings],
    )
    folder = Path(given.capture).parent
    write_replay(
        shown,
        memory=columns(folder, "memory", shown),
        tasks=columns(folder, "tasks", shown),
        video=output.video,
        short=output.short,
    )
