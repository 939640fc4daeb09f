"""The README's tables of configuration keys say what the schema says."""

import pytest

from somaray.errors import SomarayError
from somaray.report.config_table import BEGIN, END, render_tables, with_tables
from somaray.validation import load_schema

SCHEMA = {
    "required": ["catalogue", "sizes"],
    "properties": {
        "catalogue": {
            "description": "What there is.",
            "type": "object",
            "additionalProperties": {
                "properties": {"kind": {"description": "Where from.", "enum": ["file"]}},
                "oneOf": [
                    {
                        "title": "file",
                        "description": "A file.",
                        "required": ["path"],
                        "properties": {
                            "kind": {"const": "file"},
                            "path": {"description": "The file.", "type": "string"},
                            "layer": {"description": "A | B.", "type": ["string", "null"], "default": None},
                        },
                    }
                ],
            },
        },
        "sizes": {"description": "Some\nsizes.", "type": "array", "items": {"type": "integer"}},
        "hvg": {
            "description": "How.",
            "type": "object",
            "default": {},
            "properties": {
                "flavor": {"description": "Which.", "enum": ["x", "y"], "default": "x"},
                "span": {
                    "description": "Share.", "type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.3,
                },
                "quick": {"description": "Fast.", "type": "boolean", "default": False},
            },
        },
    },
}  # fmt: skip

TABLES = r"""| key | value | default | what it is |
| --- | --- | --- | --- |
| `catalogue` | mapping | required | What there is. |
| `sizes` | list | required | Some sizes. |
| `hvg` | mapping |  | How. |
| `hvg.flavor` | `x`, `y` | `x` | Which. |
| `hvg.span` | number, > 0, ≤ 1 | `0.3` | Share. |
| `hvg.quick` | `true`, `false` | `false` | Fast. |

An entry of `catalogue` has a `kind` and that kind's keys. Where from.

### `kind: file`

A file.

| key | value | default | what it is |
| --- | --- | --- | --- |
| `path` | text | required | The file. |
| `layer` | text or `null` | `null` | A \| B. |"""


def test_tables_of_a_known_schema():
    assert render_tables(SCHEMA) == TABLES


def test_readme_has_the_tables_of_the_schema(root):
    readme = (root / "README.md").read_text()
    tables = render_tables(load_schema())
    assert with_tables(readme, tables) == readme, "run: uv run python -m somaray.report.config_table README.md"


def test_what_stands_around_the_tables_is_kept():
    readme = f"# Title\n\n{BEGIN}\nold \\1 tables\n{END}\n\nMore.\n"
    written = with_tables(readme, r"new \1 tables")
    assert written == f"# Title\n\n{BEGIN}\n\nnew \\1 tables\n\n{END}\n\nMore.\n"
    assert with_tables(written, r"new \1 tables") == written


@pytest.mark.parametrize("readme", ["", BEGIN, f"{BEGIN}{END}" * 2])
def test_a_readme_without_one_place_for_them_is_an_error(readme):
    with pytest.raises(SomarayError, match="no place for the tables"):
        with_tables(readme, "")
