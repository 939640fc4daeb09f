"""memray's flame graphs of a run's captures, as HTML files that need no network."""

import subprocess
import sys
from pathlib import Path

from somaray.errors import SomarayError


def write_flame_graphs(capture_dir: str | Path, output_dir: str | Path) -> dict[str, str]:
    """Write one flame graph of the heap's high-water mark for each `*.bin` of `capture_dir`, e.g. `driver.html`.

    The assets are part of each file: opened in a browser, it requests nothing.

    Returns
    -------
    dict
        Capture file to reason, of those memray could not read (a killed process may leave an empty one).

    Raises
    ------
    SomarayError
        If there is no folder `capture_dir`.
    """
    capture_dir, output_dir = Path(capture_dir), Path(output_dir)
    if not capture_dir.is_dir():
        raise SomarayError(f"{capture_dir}: no such folder, expected captures (*.bin) in it")
    output_dir.mkdir(parents=True, exist_ok=True)
    unreadable = {}
    for capture in sorted(capture_dir.glob("*.bin")):
        graph = output_dir / f"{capture.stem}.html"
        # In a process of its own: memray's reader can crash on a damaged file.
        child = subprocess.run(
            [sys.executable, "-m", "memray", "flamegraph", "--no-web", "--force", "--output", str(graph), str(capture)],
            capture_output=True,
            check=False,
        )
        if child.returncode:
            graph.unlink(missing_ok=True)
            complaints = child.stderr.decode(errors="replace").split("\n")
            unreadable[capture.name] = next((line for line in reversed(complaints) if line.strip()), "memray crashed")
    return unreadable
