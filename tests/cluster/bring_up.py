#!/usr/bin/env python3
"""Bring up a Slurm of one node, this machine, from nothing: `bring_up.py FOLDER [--accounting]`.

Needs Slurm's daemons and munge, with `--accounting` slurmdbd and MariaDB too (on Debian: `slurm-wlm munge`, and
`slurmdbd mariadb-server`); no systemd, no file outside FOLDER, no port but free ones on loopback, and no account but the one
that runs it. Prints the variables that clients need. `take_down.py FOLDER` ends what was started, and nothing else.
"""

import argparse
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

PROCESSES = "processes.json"
CONFIG = "slurm.conf"
READY_SECONDS = 60.0

PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "sinfo")
ACCOUNTING_PROGRAMS = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb", "sacctmgr")

LONGEST_FOLDER = 60
"""Sockets lie in the folder, and a socket's path has at most 107 characters."""


def find(program: str) -> str | None:
    """Path of a program, also of those that only root has on its path."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def missing(accounting: bool) -> list[str]:
    """Programs that are needed and not there."""
    return [name for name in PROGRAMS + (ACCOUNTING_PROGRAMS if accounting else ()) if find(name) is None]


def variables(folder: Path) -> dict[str, str]:
    """What a client of this Slurm has in its environment."""
    path = os.environ.get("PATH", os.defpath)
    return {"SLURM_CONF": str(folder / CONFIG), "PATH": os.pathsep.join([str(folder / "bin"), path])}


def write_srun(folder: Path) -> None:
    """Put an srun before the real one that finds the configuration even where its variable is gone.

    Snakemake's plugin takes every variable of Slurm's but a job's number from the environment of the steps that it starts.
    """
    program = folder / "bin" / "srun"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nSLURM_CONF="{folder / CONFIG}" exec {find("srun")} "$@"\n')
    program.chmod(0o755)


def start_ticks(pid: int) -> int | None:
    """When a process began, which tells it from a later one of the same number; None if there is none (proc(5))."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in ("Z", "X") else int(fields[18])


class OneNode:
    """The daemons of one Slurm, in the order in which they were started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[dict[str, object]] = []

    def start(self, name: str, *arguments: str) -> None:
        """Start a daemon in the foreground of a session of its own, and note it for the end."""
        program = find(name)
        assert program is not None
        with (self.folder / f"{name}.out").open("w") as out:
            process = subprocess.Popen(
                [program, *arguments],
                env={**os.environ, **variables(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.started.append({"name": name, "pid": process.pid, "start_ticks": start_ticks(process.pid)})
        (self.folder / PROCESSES).write_text(json.dumps(self.started, indent=1))

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait until something is ready, and show what the daemons said if it never is."""
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                said = [f"{path.name}:\n{path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.out"))]
                raise SystemExit("\n".join([f"{what} is not ready after {READY_SECONDS:.0f} s", *said]))
            time.sleep(0.1)

    def answers(self, name: str, *arguments: str) -> str | None:
        """What a client program prints, None if it fails."""
        program = find(name)
        assert program is not None
        done = subprocess.run(
            [program, *arguments],
            env={**os.environ, **variables(self.folder)},
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )
        return done.stdout if done.returncode == 0 else None


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def user() -> str:
    """Name of the account that runs all of this."""
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def memory_mib() -> int:
    """Memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def slurm_conf(folder: Path, accounting_port: int | None) -> str:
    """Write the configuration: one node that counts cores and memory and ends a job that takes more than it asked for."""
    host = socket.gethostname().partition(".")[0]
    # task/affinity: srun asks for a core binding. EnforcePartLimits: a job too big for the node is refused, not kept waiting.
    # The tests' machine may have few cores: each counts as four, so that several small jobs fit beside each other.
    # SlurmdParameters: so the node may say it has more than it finds.
    lines = f"""\
        ClusterName=somaray
        SlurmctldHost={host}(127.0.0.1)
        SlurmctldPort={free_port()}
        SlurmdPort={free_port()}
        SlurmUser={user()}
        SlurmdUser={user()}
        AuthType=auth/munge
        AuthInfo=socket={folder}/munge/socket
        CredType=cred/munge
        StateSaveLocation={folder}/state
        SlurmdSpoolDir={folder}/spool
        SlurmctldPidFile={folder}/slurmctld.pid
        SlurmdPidFile={folder}/slurmd.pid
        ProctrackType=proctrack/linuxproc
        TaskPlugin=task/affinity
        JobAcctGatherType=jobacct_gather/linux
        JobAcctGatherFrequency=task=1
        JobAcctGatherParams=OverMemoryKill
        SelectType=select/cons_tres
        SelectTypeParameters=CR_CPU_Memory
        SchedulerType=sched/backfill
        SchedulerParameters=bf_interval=1,sched_min_interval=100000,batch_sched_delay=0
        EnforcePartLimits=ALL
        MinJobAge=3600
        KillWait=5
        OverTimeLimit=0
        ReturnToService=2
        MpiDefault=none
        MailProg=/bin/true
        SlurmdParameters=config_overrides
        NodeName={host} NodeAddr=127.0.0.1 CPUs={4 * (os.cpu_count() or 1)} RealMemory={memory_mib()} State=UNKNOWN
        PartitionName=main Nodes={host} Default=YES DefMemPerCPU=500 MaxTime=INFINITE State=UP
        """
    text = dedent(lines)
    if accounting_port is None:
        return text + "AccountingStorageType=accounting_storage/none\n"
    return text + (
        "AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\n"
        f"AccountingStoragePort={accounting_port}\nAccountingStoreFlags=job_comment\n"
        # What the manual calls a password is munge's socket again.
        f"AccountingStoragePass={folder}/munge/socket\n"
    )


def start_munge(node: OneNode) -> None:
    """Start the service that signs messages, with a key of its own."""
    folder = node.folder / "munge"
    folder.mkdir()
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    # --force: it would have it that nobody else may write anywhere above its folder, and /tmp is for all.
    node.start("munged", "--foreground", "--force", *(f"--{option}={folder / name}" for option, name in files.items()))
    node.wait("munge", lambda: node.answers("munge", "-n", "-S", str(folder / "socket")) is not None)


def start_accounting(node: OneNode) -> int:
    """Start a database and Slurm's daemon before it; returns the daemon's port."""
    data, database_socket, password = node.folder / "database", node.folder / "database.socket", secrets.token_hex(16)
    port, database_port = free_port(), free_port()
    plain = ("--no-defaults", f"--datadir={data}", f"--user={user()}")
    # fsync costs seconds, and this database lives as long as the tests.
    quick = ("--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--skip-log-bin")
    installer = find("mariadb-install-db")
    assert installer is not None
    subprocess.run(
        [installer, *plain, "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    where = (f"--socket={database_socket}", f"--port={database_port}", "--bind-address=127.0.0.1")
    node.start("mariadbd", *plain, *quick, *where, f"--pid-file={node.folder}/database.pid")
    ask = ("--no-defaults", f"--socket={database_socket}", "--user=root", "--execute")
    node.wait("the database", lambda: node.answers("mariadb", *ask, "select 1") is not None)
    grant = (
        f"create user slurm@'127.0.0.1' identified by '{password}'; grant all on slurm_acct_db.* to slurm@'127.0.0.1'"
    )
    assert node.answers("mariadb", *ask, grant) is not None
    config = node.folder / "slurmdbd.conf"
    config.touch(mode=0o600)
    lines = f"""\
        AuthType=auth/munge
        AuthInfo=socket={node.folder}/munge/socket
        DbdHost=localhost
        DbdAddr=127.0.0.1
        DbdPort={port}
        SlurmUser={user()}
        PidFile={node.folder}/slurmdbd.pid
        StorageType=accounting_storage/mysql
        StorageHost=127.0.0.1
        StoragePort={database_port}
        StorageUser=slurm
        StoragePass={password}
        StorageLoc=slurm_acct_db
        """
    config.write_text(dedent(lines))
    node.start("slurmdbd", "-D")
    node.wait("slurmdbd", lambda: listens(port))
    return port


def bring_up(folder: Path, accounting: bool) -> OneNode:
    """Start everything and wait until the node takes jobs.

    Raises
    ------
    SystemExit
        With what the daemons said, if it does not.
    """
    folder = folder.resolve()
    if len(str(folder)) > LONGEST_FOLDER:
        raise SystemExit(f"{folder}: the path is too long for sockets, expected at most {LONGEST_FOLDER} characters")
    absent = missing(accounting)
    if absent:
        raise SystemExit(f"not installed: {', '.join(absent)}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    write_srun(folder)
    node = OneNode(folder)
    start_munge(node)
    port = None
    (folder / CONFIG).write_text(slurm_conf(folder, None))
    if accounting:
        port = start_accounting(node)
        (folder / CONFIG).write_text(slurm_conf(folder, port))
    if port is not None:
        # Before the controller, which may then find its cluster known.
        assert node.answers("sacctmgr", "--immediate", "add", "cluster", "somaray") is not None
        node.answers("sacctmgr", "--immediate", "add", "account", "lab")
        node.answers("sacctmgr", "--immediate", "add", "user", user(), "account=lab")
    node.start("slurmctld", "-D", "-i")
    node.wait("slurmctld", lambda: node.answers("sinfo", "--noheader") is not None)
    node.start("slurmd", "-D", "-N", socket.gethostname().partition(".")[0])
    node.wait("the node", lambda: (node.answers("sinfo", "--noheader", "--format=%t") or "").strip() == "idle")
    return node


def main() -> None:
    """Bring up what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new or empty folder with a short path, e.g. /tmp/slurm")
    parser.add_argument("--accounting", action="store_true", help="with slurmdbd, so that sacct answers")
    arguments = parser.parse_args()
    bring_up(arguments.folder, arguments.accounting)
    for name, value in variables(arguments.folder.resolve()).items():
        print(f"export {name}={value}")


if __name__ == "__main__":
    sys.exit(main())
