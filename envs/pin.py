# /// script
# requires-python = ">=3.12"
# ///
"""Pin every version: `uv run envs/pin.py`.

Resolves what pyproject.toml asks for and writes the outcome where it belongs: the block of pins in pyproject.toml, which
makes every later resolution give the same versions, and envs/somaray.yaml, the same environment for conda. Without options
the pins that stand are kept and only what is not pinned yet is chosen; `--upgrade` chooses all anew, `--upgrade NAME …`
those packages alone. It needs nothing but uv, so that it runs even when the pins contradict each other.
"""

import argparse
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONDA_ENVIRONMENT = ROOT / "envs" / "somaray.yaml"

BEGIN = "# pins: begin (written by `uv run envs/pin.py`)"
END = "# pins: end"

CONDA_NAMES = {
    "dask": "dask-core",
    "matplotlib": "matplotlib-base",
    "tiledb": "tiledb-py",
    "tiledbsoma": "tiledbsoma-py",
}
"""Names on conda-forge where they differ from those of the Python packages."""

NOT_IN_CONDA_ENVIRONMENT = {"snakemake": "the one that runs the workflow lends itself to its jobs, on their path"}
"""Direct dependencies that the conda environment of a job leaves out, and why."""


PLAIN = ("--no-annotate", "--no-header")
"""Options that leave requirements alone in uv's output."""


def normalized(name: str) -> str:
    """Write a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    """Name the package that a requirement such as `anndata<0.13` asks for."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    if match is None:
        raise ValueError(f"{requirement!r} is not a requirement")
    return normalized(match[0])


def read_pins(pyproject: str) -> dict[str, list[str]]:
    """Read the pinned requirements, by their key below `[tool.uv]`."""
    settings = tomllib.loads(pyproject)["tool"].get("uv", {})
    return {key: list(settings.get(key, ())) for key in ("constraint-dependencies", "build-constraint-dependencies")}


def with_pins(pyproject: str, pins: dict[str, list[str]]) -> str:
    """Put the block of pins into the text of pyproject.toml, in place of the one that stands."""
    before, _, rest = pyproject.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [BEGIN]
    for key, requirements in pins.items():
        lines += [f"{key} = [", *(f'  "{requirement}",' for requirement in requirements), "]"]
    return "\n".join([before.rstrip("\n"), "", *lines, END, *([after.strip("\n")] if after.strip() else []), ""])


def resolve(pyproject: str) -> dict[str, list[str]]:
    """Resolve a pyproject.toml afresh, in a folder of its own without a lock file.

    Returns
    -------
    dict
        Every package, direct or not, for running (all groups) and for building, as `name==version`, with a marker where
        it is needed on some platforms only.

    Raises
    ------
    subprocess.CalledProcessError
        If uv cannot resolve; its standard error says why.
    """
    build = tomllib.loads(pyproject)["build-system"]["requires"]
    with tempfile.TemporaryDirectory() as running, tempfile.TemporaryDirectory() as building:
        (Path(running) / "pyproject.toml").write_text(pyproject)
        shutil.copy(ROOT / ".python-version", running)
        _uv(running, "lock")
        exported = _uv(running, *"export --frozen --no-hashes --all-groups --no-emit-project".split(), *PLAIN)
        # In a folder of its own, since constraints for running are not constraints for building.
        (Path(building) / "requirements.in").write_text("\n".join(build))
        (Path(building) / "constraints.txt").write_text(
            "\n".join(read_pins(pyproject)["build-constraint-dependencies"])
        )
        compiled = _uv(
            building, *"pip compile requirements.in --constraint constraints.txt --universal --quiet".split(), *PLAIN
        )
    return {"constraint-dependencies": _lines(exported), "build-constraint-dependencies": _lines(compiled)}


def _uv(folder: str, *arguments: str) -> str:
    return subprocess.run(["uv", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def _lines(text: str) -> list[str]:
    return sorted(line.replace('"', "'").strip() for line in text.splitlines() if line.strip())


def versions_of(pins: dict[str, list[str]]) -> dict[str, str]:
    """Look up the version of each package that runs, by its name."""
    return {
        requirement_name(pin): pin.partition("==")[2].partition(";")[0].strip()
        for pin in pins["constraint-dependencies"]
    }


def conda_environment(pyproject: str) -> str:
    """Write the conda environment: direct dependencies under their conda-forge names, at the pinned versions."""
    versions = versions_of(read_pins(pyproject))
    names = [requirement_name(requirement) for requirement in tomllib.loads(pyproject)["project"]["dependencies"]]
    lines = [
        "# Written by `uv run envs/pin.py` from the pins in pyproject.toml, for `snakemake --sdm conda`.",
        "# The package somaray itself is not in it: Snakemake puts a script's own folder, scripts/, on the path.",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
        "  - python=3.12.*",
    ]
    lines += [
        f"  - {CONDA_NAMES.get(name, name)}={versions[name]}" for name in names if name not in NOT_IN_CONDA_ENVIRONMENT
    ]
    return "\n".join(lines) + "\n"


def without(pins: dict[str, list[str]], names: list[str]) -> dict[str, list[str]]:
    """Drop the pins of `names`, or all of them if there are no names."""
    dropped = {normalized(name) for name in names}
    return {
        key: [pin for pin in requirements if dropped and requirement_name(pin) not in dropped]
        for key, requirements in pins.items()
    }


def main() -> None:
    """Pin what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--upgrade", nargs="*", metavar="NAME", help="choose these packages anew, or all if none is named"
    )
    arguments = parser.parse_args()
    path = ROOT / "pyproject.toml"
    pyproject = path.read_text()
    kept = read_pins(pyproject)
    if arguments.upgrade is not None:
        kept = without(kept, arguments.upgrade)
    try:
        pins = resolve(with_pins(pyproject, kept))
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.stderr) from error
    pyproject = with_pins(pyproject, pins)
    path.write_text(pyproject)
    CONDA_ENVIRONMENT.write_text(conda_environment(pyproject))
    print(f"pinned {len(pins['constraint-dependencies'])} packages; now run: uv sync")


if __name__ == "__main__":
    main()
