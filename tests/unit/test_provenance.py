"""Host, versions and commit are those of this process."""

import importlib.metadata
import os
import platform
from datetime import datetime

from somaray.provenance import CORE, PACKAGES, host, provenance, versions


def test_host_is_this_machine():
    here = host()
    assert here.usable_cores == len(os.sched_getaffinity(0))
    assert here.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert here.kernel.startswith("Linux ")
    assert here.cpu_model


def test_versions_are_the_installed_ones():
    found = versions()
    assert set(found) == {*PACKAGES, CORE, "CPython"}
    assert found["tiledbsoma"] == importlib.metadata.version("tiledbsoma")
    assert found["CPython"] == platform.python_version()
    assert found[CORE].count(".") == 2


def test_provenance_tells_when_and_from_which_commit():
    made = provenance()
    assert datetime.fromisoformat(made.made_at).tzinfo is not None
    assert made.commit is None or len(made.commit.rstrip("+")) == 40
