"""In continuous integration a skipped test fails, unless it may be skipped."""

import os
import subprocess
import sys

import pytest

TESTS = """
import pytest

def test_runs():
    pass

def test_skips():
    pytest.skip("no such program")

@pytest.mark.skipif(True, reason="not here")
def test_skips_by_mark():
    pass

@pytest.mark.may_skip("a cluster is not asked for")
def test_may_skip():
    pytest.skip("no cluster")

def test_needs_data(shared_data):
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_known_failure():
    raise AssertionError
"""

SKIPPED_MODULE = "import pytest\npytest.skip('not on this platform', allow_module_level=True)\n"


@pytest.fixture
def outcome(root, tmp_path):
    """Run the tests above in a project that has this one's conftest and settings; its closing line is returned."""
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    (project / "pyproject.toml").write_text((root / "pyproject.toml").read_text())
    (project / "tests" / "conftest.py").write_text((root / "tests" / "conftest.py").read_text())
    (project / "tests" / "test_all.py").write_text(TESTS)
    (project / "tests" / "test_module.py").write_text(SKIPPED_MODULE)

    def outcome(ci):
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("SOMARAY_", "PYTEST_"))
        }
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they import half of the environment
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "xdist.plugin",
                "-p",
                "no:cacheprovider",
                "--continue-on-collection-errors",
                "tests",
            ],
            cwd=project,
            env={**environment, "SOMARAY_CI": "1"} if ci else environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip().splitlines()[-1], done.stdout

    return outcome


def test_elsewhere_a_skipped_test_is_no_failure(outcome):
    closing, _ = outcome(ci=False)
    assert "1 passed, 5 skipped, 1 xfailed" in closing


def test_in_continuous_integration_it_is_one_unless_marked_or_for_want_of_data(outcome):
    closing, output = outcome(ci=True)
    assert "1 failed, 1 passed, 2 skipped, 1 xfailed, 2 errors" in closing
    assert "test_skips was skipped, which continuous integration forbids: no such program" in output
    assert "test_module.py was skipped whole" in output
