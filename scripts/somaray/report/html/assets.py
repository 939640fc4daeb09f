"""What a page carries with it: styles, the small script, and DataTables, which sorts and filters tables."""

import base64
from functools import cache
from importlib import resources
from pathlib import Path

import itables

TEMPLATES = Path(__file__).parent / "templates"


@cache
def tables_script() -> str:
    """DataTables as a module in a data URL: the build that the package itables keeps for notebooks without a network."""
    bundle = resources.files(itables).joinpath("html/dt_bundle.js").read_bytes()
    return "data:text/javascript;base64," + base64.b64encode(bundle).decode()


@cache
def tables_style() -> str:
    """DataTables' own styles."""
    return resources.files(itables).joinpath("html/dt_bundle.css").read_text()
