"""Every version is pinned, the pins hold, and the conda environment carries the same ones."""

import ast
import importlib.util
import re
import subprocess
import tomllib

import pytest
import yaml

NO_NETWORK = re.compile(r"error sending request|dns error|failed to lookup|timed out|connection (refused|reset)", re.I)

IMPORT_NAMES = {"markdown-it-py": "markdown_it", "pillow": "PIL", "pyyaml": "yaml", "scikit-misc": "skmisc"}
"""What a package is imported as, where it is not by its own name."""


@pytest.fixture(scope="module")
def pin(root):
    spec = importlib.util.spec_from_file_location("pin", root / "envs" / "pin.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pyproject(root):
    return (root / "pyproject.toml").read_text()


def test_a_fresh_resolution_gives_the_pinned_versions_and_no_others(pin, pyproject):
    try:
        resolved = pin.resolve(pyproject)
    except subprocess.CalledProcessError as error:
        if NO_NETWORK.search(error.stderr):
            pytest.skip("no package registry can be reached")
        raise AssertionError(error.stderr) from error
    assert resolved == pin.read_pins(pyproject)


def test_every_pin_is_one_exact_version(pin, pyproject):
    pins = [pin for kind in pin.read_pins(pyproject).values() for pin in kind]
    assert len(pins) > 100
    for requirement in pins:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.+!]*( ; .+)?", requirement)


def test_pins_are_written_in_place_of_those_that_stand(pin, pyproject):
    pins = {"constraint-dependencies": ["a==1", "b==2 ; sys_platform == 'win32'"], "build-constraint-dependencies": []}
    written = pin.with_pins(pyproject, pins)
    assert pin.read_pins(written) == pins
    assert pin.with_pins(written, pin.read_pins(pyproject)) == pyproject


def test_upgrading_drops_the_named_pins_or_all(pin):
    pins = {"constraint-dependencies": ["a-b==1", "c==2"], "build-constraint-dependencies": ["c==2"]}
    assert pin.without(pins, ["A_b"]) == {**pins, "constraint-dependencies": ["c==2"]}
    assert pin.without(pins, []) == {"constraint-dependencies": [], "build-constraint-dependencies": []}


def test_conda_environment_has_the_pinned_versions(pin, pyproject, root):
    text = (root / "envs" / "somaray.yaml").read_text()
    assert text == pin.conda_environment(pyproject), "run: uv run envs/pin.py"
    environment = yaml.safe_load(text)
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    python, *packages = environment["dependencies"]
    assert python == "python=3.12.*"
    versions = dict(package.split("=") for package in packages)
    assert versions["tiledbsoma-py"] == pin.versions_of(pin.read_pins(pyproject))["tiledbsoma"]
    assert len(versions) == len(tomllib.loads(pyproject)["project"]["dependencies"]) - len(pin.NOT_IN_CONDA_ENVIRONMENT)


def test_every_direct_dependency_is_imported(pin, pyproject, root):
    rules = "".join(path.read_text() for path in (root / "Snakefile", *(root / "rules").glob("*.smk")))
    imported = set(re.findall(r"^(?:from|import) (\w+)", rules, flags=re.MULTILINE))
    for path in (root / "scripts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    direct = {pin.requirement_name(text) for text in tomllib.loads(pyproject)["project"]["dependencies"]}
    used = {name for name in direct if IMPORT_NAMES.get(name, name.replace("-", "_")) in imported}
    assert direct - used == set()
