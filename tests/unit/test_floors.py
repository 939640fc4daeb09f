"""A room stands above all that it imports; modules stay short; nothing tracked knows the machine it was written on."""

import ast
import re
import subprocess
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
PACKAGE = SCRIPTS / "somaray"

FLOORS = (
    {"errors", "units", "bindings", "credentials"},
    {"registry", "matrix", "settings", "residency", "record_files", "grouped", "dask_work"},
    {
        "validation",
        "config",
        "run_settings",
        "variants",
        "config_files",
        "records",
        "fingerprints",
        "cluster",
        "cluster_elsewhere",
        "cluster_slurm",
    },
    {
        "datasets",
        "allocations",
        "provenance",
        "agreement",
        "console",
        "failures",
        "stages",
        "batch",
        "beginnings",
        "submission",
        "plan",
    },
    {"methods", "report"},
    {"measure", "cli", "commands"},
)
"""From the ground up. A room may import rooms below it, and of its own floor those that do not import it in turn."""

MOST_LINES = 300
MOST_SNAKEFILE_LINES = 50

BANNED = re.compile(
    "|".join(
        [
            r"(?<![\w.])/(root|work)/",
            "pypi" + r"\.org",
            "python" + "hosted",
            r"\.\./" + "shared",
        ]
    )
)
ALLOWED_BANNED = {"tests/unit/test_floors.py"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(dotted: str) -> str | None:
    """`somaray.measure.clock` → `measure`; None for the package itself and all that is outside it."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "somaray" and len(parts) > 1 else None


def imported_modules(path: Path) -> set[str]:
    """Dotted names of all that a file imports, at its top or inside functions."""
    package = path.relative_to(SCRIPTS).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *([node.module] if node.module else [])])
            # `from somaray import units` names a module, `from somaray.units import parse_count` lies in one.
            found |= {f"{origin}.{alias.name}" for alias in node.names} if origin == "somaray" else {origin}
    return found


def room_graph() -> dict[str, set[str]]:
    graph = defaultdict(set)
    for path in modules():
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts == ("__init__",):
            continue
        room = parts[0]
        graph[room] |= {other for name in imported_modules(path) if (other := room_of(name)) and other != room}
    return graph


def test_every_room_has_a_floor():
    known = set().union(*FLOORS)
    assert set(room_graph()) - known == set()
    assert sum(map(len, FLOORS)) == len(known), "a room stands on one floor"


def test_no_import_runs_up():
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    upward = {
        f"{room} imports {other}"
        for room, others in room_graph().items()
        for other in others
        if floor_of[other] > floor_of[room]
    }
    assert upward == set()


def test_rooms_do_not_import_each_other_in_a_circle():
    try:
        tuple(TopologicalSorter(room_graph()).static_order())
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_modules_of_a_room_do_not_import_each_other_in_a_circle():
    names = {path: ".".join(path.relative_to(SCRIPTS).with_suffix("").parts) for path in modules()}
    graph = {name: imported_modules(path) & set(names.values()) for path, name in names.items()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_only_scripts_know_snakemake():
    inside = {str(path.relative_to(ROOT)) for path in modules() if "snakemake" in imported_modules(path)}
    assert inside == set()


def test_tests_and_benchmarks_are_not_imported():
    for path in [*modules(), *SCRIPTS.glob("*.py")]:
        assert not {name.partition(".")[0] for name in imported_modules(path)} & {"tests", "benchmarks", "pytest"}


@pytest.mark.parametrize("path", [*modules(), *sorted(SCRIPTS.glob("*.py"))], ids=lambda path: path.stem)
def test_a_module_is_short(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_snakefile_is_short():
    assert len((ROOT / "Snakefile").read_text().splitlines()) < MOST_SNAKEFILE_LINES


def test_no_tracked_file_knows_a_machine_or_a_registry():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = [name for name in listed.stdout.split("\0") if name and name not in ALLOWED_BANNED]
    assert len(tracked) > 20
    found = []
    for name in tracked:
        path = ROOT / name
        if not path.is_file() or b"\0" in (content := path.read_bytes()):
            continue
        for number, line in enumerate(content.decode().splitlines(), 1):
            found += [f"{name}:{number}: {match[0]}" for match in BANNED.finditer(line)]
    assert found == []
