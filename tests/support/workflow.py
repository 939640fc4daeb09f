"""Run the workflow in a copy of the checkout, as a user would, and say which jobs ran or would run."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Snakefile", "config", "rules", "scripts", "envs", "profiles", "report")

TINY = {
    "catalogue": {
        "tiny": {"kind": "synthetic", "n_obs": 240, "n_vars": 120, "nnz_per_obs": 30, "seed": 3},
        "other": {"kind": "synthetic", "n_obs": 200, "n_vars": 160, "nnz_per_obs": 30, "seed": 4},
    },
    "datasets": ["tiny"],
    "methods": ["soma-dask", "in-memory"],
    "chunk_sizes": [100],
    "parallelism": ["0x1x1", "0x2x1"],
    "replicates": 1,
    "hvg": {"n_top_genes": 20},
    "tiledb": {"soma.init_buffer_bytes": "16MiB"},
}


@dataclass(frozen=True, order=True)
class JobLine:
    """A job as Snakemake announces it: its rule and its first output."""

    rule: str
    output: str


class Checkout:
    """A copy of the checkout with a configuration of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls, folder: Path, config: dict) -> "Checkout":
        """Copy the sources, nothing that was made from them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (ROOT / name).exists():
                shutil.copy2(ROOT / name, folder / name)
        checkout = cls(folder)
        checkout.configure(config)
        return checkout

    def copy(self, folder: Path) -> "Checkout":
        """Copy with results, times of files and what Snakemake remembers."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder)

    def configure(self, config: dict) -> None:
        """Write the two configuration files anew."""
        catalogue = {"catalogue": config["catalogue"]}
        rest = {key: value for key, value in config.items() if key != "catalogue"}
        (self.folder / "config" / "datasets.yaml").write_text(yaml.safe_dump(catalogue, sort_keys=False))
        (self.folder / "config" / "config.yaml").write_text(yaml.safe_dump(rest, sort_keys=False))

    def command(self, *arguments: str) -> list[str]:
        """The command line that a user's `uv run snakemake …` comes down to."""
        return [sys.executable, "-m", "snakemake", *arguments]

    def environment(self) -> dict[str, str]:
        """A folder for temporary files of its own, and with it a lock of its own: a test waits for no other measurement."""
        temporary = self.folder.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        return {**os.environ, "PYTHONPATH": "", "TMPDIR": str(temporary)}

    def run(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run snakemake to its end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def somaray(self, *arguments: str) -> str:
        """What the command says in this folder."""
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from somaray.cli import main; sys.exit(main())", *arguments],
            cwd=self.folder,
            env={**self.environment(), "PYTHONPATH": str(self.folder / "scripts")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: str, said: Path | None = None) -> "subprocess.Popen[str]":
        """Start snakemake as a session of its own, to be killed by the test; what it says goes to a pipe, or to a file."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE if said is None else said.open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def planned(self, *arguments: str) -> list[JobLine]:
        """What a dry run says would run, `all` left out."""
        done = self.run("--cores", "2", "--dry-run", "--nocolor", *arguments)
        return announced(done.stdout + done.stderr)

    def planned_rules(self, *arguments: str) -> Counter[str]:
        """How many jobs of each rule would run."""
        return Counter(job.rule for job in self.planned(*arguments))


class OnScheduler(Checkout):
    """A checkout whose jobs go to a scheduler, known by variables of the environment."""

    variables: dict[str, str]

    def environment(self) -> dict[str, str]:
        """The scheduler's, and the package of this folder before the one that is installed."""
        own = super().environment()
        return {**own, **self.variables, "PYTHONPATH": str(self.folder / "scripts"), "TMPDIR": own["TMPDIR"]}


def announced(text: str) -> list[JobLine]:
    """Read the jobs that Snakemake announced, in order."""
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)+)", text, flags=re.MULTILINE)
    jobs = []
    for rule, body in blocks:
        output = re.search(r"output: ([^,\n]+)", body)
        if rule != "all":
            jobs.append(JobLine(rule, output[1] if output else ""))
    return jobs
