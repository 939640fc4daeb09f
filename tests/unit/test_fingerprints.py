"""A fingerprint changes with all that can be reached from its entries, and with nothing else."""

import os
import subprocess
import sys
import textwrap

import pytest

from somaray.fingerprints import source_fingerprint, version_fingerprint
from somaray.registry import METHODS

SOURCES = {
    "__init__.py": '"""The package."""\n',
    "work.py": '''
        """Does the work."""
        import math as m
        from typing import TYPE_CHECKING

        from pack import tools
        from pack.base import LIMIT, Shape, decorate
        from pack.base import scale as times

        if TYPE_CHECKING:
            from pack.unused import Idle

        @decorate
        def compute(shape: Shape, idle: "Idle") -> float:
            """Compute it."""
            from pack.late import finish

            # A comment.
            return finish(tools.add(m.floor(times(shape.area())), LIMIT))

        def unrelated():
            return tools.other()

        if __name__ == "__main__":
            compute(Shape(), None)
        ''',
    "base.py": '''
        """Base."""
        LIMIT = 3
        UNIT: int = 2

        class Shape:
            side = 2

            def area(self):
                """Area."""
                return self.side**UNIT

        def decorate(function):
            return function

        def scale(x):
            return helper(x)

        def helper(x, limit=2):
            return [LIMIT_ + limit for LIMIT_ in (x,)][0]

        def lonely(x):
            return x
        ''',
    "tools.py": """
        import os

        os.environ["TOOLS"] = "1"
        STATE = {}
        STATE["a"] = 1

        def add(x, y):
            return x + y

        def other():
            return 0
        """,
    "late.py": """
        from .deep import inner

        def finish(x):
            def nested(y):
                return inner.last(y)

            return nested(x)
        """,
    "deep/__init__.py": "DEPTH = 1\nprint(DEPTH)\n",
    "deep/inner.py": """
        from ..circle import around

        def last(x):
            return around(x) if x else x

        def shadow(around):
            return around
        """,
    "circle.py": """
        from pack.deep.inner import last

        def around(x):
            return last(x - 1)
        """,
    "unused.py": "class Idle: ...\n",
}

ENTRY = "pack.work:compute"


@pytest.fixture
def package(tmp_path):
    for name, source in SOURCES.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
    return tmp_path / "pack"


def edited(package, name, old, new, *entries):
    """Fingerprints before and after one edit."""
    before = source_fingerprint(*(entries or (ENTRY,)), package_dir=package)
    path = package / name
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is not once in {name}"
    path.write_text(text.replace(old, new))
    return before, source_fingerprint(*(entries or (ENTRY,)), package_dir=package)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("work.py", "return finish(", "return -finish(", id="the entry"),
        pytest.param("work.py", "import math as m", "import cmath as m", id="what a name stands for"),
        pytest.param(
            "work.py", "import scale as times", "import lonely as times", id="which function a name stands for"
        ),
        pytest.param("base.py", "LIMIT = 3", "LIMIT = 4", id="a constant"),
        pytest.param("base.py", "UNIT: int = 2", "UNIT: int = 3", id="a constant of a method of a class"),
        pytest.param("base.py", "side = 2", "side = 3", id="a class"),
        pytest.param("base.py", "return function", "return lambda *a: function(*a)", id="a decorator"),
        pytest.param("base.py", "LIMIT_ + limit", "LIMIT_ * limit", id="a helper's helper"),
        pytest.param("base.py", "limit=2", "limit=LIMIT", id="a default"),
        pytest.param("tools.py", "x + y", "x - y", id="an attribute of a module"),
        pytest.param("tools.py", '["TOOLS"] = "1"', '["TOOLS"] = "2"', id="a side effect of importing"),
        pytest.param("tools.py", 'STATE["a"] = 1', 'STATE["a"] = 2', id="a change to a constant"),
        pytest.param("tools.py", "STATE = {}", "STATE = {1: 1}", id="a constant that a side effect uses"),
        pytest.param("late.py", "inner.last(y)", "inner.last(-y)", id="a function imported inside a function"),
        pytest.param("deep/inner.py", "if x else x", "if x else 0", id="a nested function's helper by relative import"),
        pytest.param("deep/__init__.py", "DEPTH = 1", "DEPTH = 2", id="a side effect of a package in between"),
        pytest.param("circle.py", "x - 1", "x - 2", id="a module in a circle"),
    ],
)
def test_a_reachable_change_changes_it(package, name, old, new):
    before, after = edited(package, name, old, new)
    assert before != after


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("work.py", "# A comment.", "# Another, longer comment.", id="a comment"),
        pytest.param("work.py", '"""Compute it."""', '"""Compute it, well."""', id="a docstring"),
        pytest.param("work.py", '"""Does the work."""', "", id="a module's docstring"),
        pytest.param("base.py", '"""Area."""', '"""Area of it."""', id="a method's docstring"),
        pytest.param("work.py", "LIMIT))", "\n LIMIT,\n))", id="layout"),
        pytest.param("work.py", '"__main__":\n', '"__main__":\n    unrelated()\n', id="what runs as the program"),
        pytest.param("work.py", "return tools.other()", "return 1", id="an unrelated function of the same module"),
        pytest.param(
            "base.py", "def lonely(x):\n    return x", "def lonely(x):\n    return -x", id="a function not called"
        ),
        pytest.param("tools.py", "return 0", "return 1", id="another function of a module used by attribute"),
        pytest.param("deep/inner.py", "return around\n", "return around + 1\n", id="a function never called"),
        pytest.param("unused.py", "class Idle: ...", "class Idle: x = 1", id="what only type checkers import"),
        pytest.param("base.py", "LIMIT = 3\nUNIT: int = 2\n", "UNIT: int = 2\nLIMIT = 3\n", id="order of definitions"),
    ],
)
def test_any_other_change_leaves_it(package, name, old, new):
    before, after = edited(package, name, old, new)
    assert before == after


def test_a_new_module_and_a_touch_leave_it(package):
    before = source_fingerprint(ENTRY, package_dir=package)
    (package / "more.py").write_text("X = 1\n")
    os.utime(package / "base.py", (1, 1))
    assert source_fingerprint(ENTRY, package_dir=package) == before


def test_a_local_name_hides_a_function_of_the_module(package):
    before, after = edited(package, "circle.py", "x - 1", "x - 2", "pack.deep.inner:shadow")
    assert before == after


def test_a_whole_module_counts_with_what_it_runs_as_the_program(package):
    for old, new in [('"__main__":\n', '"__main__":\n    unrelated()\n'), ("return tools.other()", "return 1")]:
        before, after = edited(package, "work.py", old, new, "pack.work")
        assert before != after


def test_a_module_passed_as_a_value_counts_whole(package):
    (package / "plug.py").write_text("from pack import tools\n\ndef load():\n    return vars(tools)\n")
    before, after = edited(package, "tools.py", "return 0", "return 1", "pack.plug:load")
    assert before != after


def test_a_name_through_a_star_import_is_followed(package):
    (package / "star.py").write_text("from pack.base import *\n\ndef go():\n    return scale(1)\n")
    before, after = edited(package, "base.py", "LIMIT_ + limit", "LIMIT_ * limit", "pack.star:go")
    assert before != after


def test_a_name_of_a_comprehension_does_not_hide_it_elsewhere(package):
    (package / "hide.py").write_text(
        "def f(x):\n    return x\n\ndef go(y):\n    return [f for f in y], [f for f in f(y)]\n"
    )
    before, after = edited(package, "hide.py", "return x", "return -x", "pack.hide:go")
    assert before != after


def test_order_of_entries_and_repeats_do_not_matter(package):
    entries = ["pack.tools:other", ENTRY, "pack.base:lonely"]
    assert source_fingerprint(*entries, package_dir=package) == source_fingerprint(
        *entries[::-1], *entries, package_dir=package
    )


@pytest.mark.parametrize("entry", ["pack.nowhere", "pack.work:nothing", "numpy:mean"])
def test_an_entry_that_is_not_there_is_an_error(package, entry):
    with pytest.raises(ValueError, match=entry.split(":")[-1].split(".")[-1]):
        source_fingerprint(entry, package_dir=package)


def test_hash_seeds_do_not_matter():
    program = "from somaray.fingerprints import source_fingerprint as f; print(f('somaray.config', 'somaray.cluster'))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1


def test_it_imports_none_of_what_it_reads():
    program = (
        "import sys; from somaray.fingerprints import source_fingerprint as f; f('somaray.cluster', 'somaray.config');"
        "print(sorted({'dask', 'msgspec', 'yaml', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_method_has_a_fingerprint_of_its_own():
    modules = {method.module for method in METHODS.values()}
    assert len({source_fingerprint(f"{module}:compute_hvg") for module in modules}) == len(modules)


def test_versions_count_and_their_order_does_not():
    assert version_fingerprint(["numpy", "dask"]) == version_fingerprint(["dask", "numpy"])
    assert version_fingerprint(["numpy"]) != version_fingerprint(["numpy", "no-such-package"])


def test_another_version_is_another_fingerprint(monkeypatch):
    monkeypatch.setattr("somaray.fingerprints.metadata.version", lambda _: "1")
    before = version_fingerprint(["numpy"])
    monkeypatch.setattr("somaray.fingerprints.metadata.version", lambda _: "2")
    assert version_fingerprint(["numpy"]) != before
