"""The tools' word on the sources: style, layout, types, and Snakemake's own lint."""

import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("snakefmt", "--check", "Snakefile", "rules"),
    ],
    ids=" ".join,
)
def test_tool_finds_nothing(command, root):
    tool, *arguments = command
    done = subprocess.run([BIN / tool, *arguments], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint_finds_nothing(root):
    done = subprocess.run([BIN / "snakemake", "--lint"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Congratulations" in done.stderr + done.stdout, "the workflow was not linted at all"
