"""The README's tables of configuration keys, made from the schema: `python -m somaray.report.config_table README.md`."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from somaray.errors import SomarayError
from somaray.validation import load_schema

BEGIN = "<!-- config-table: begin (made by `python -m somaray.report.config_table README.md`) -->"
END = "<!-- config-table: end -->"

_BLOCK = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
_HEADER = "| key | value | default | what it is |\n| --- | --- | --- | --- |"
_TYPES = {
    "array": "list",
    "object": "mapping",
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true`, `false`",
    "null": "`null`",
}
_LIMITS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}"}

Schema = Mapping[str, Any]


def render_tables(schema: Schema) -> str:
    """Render a Markdown table of all keys, nested ones dotted, then one for each kind of catalogue entry."""
    catalogue = schema["properties"]["catalogue"]
    kind = catalogue["additionalProperties"]["properties"]["kind"]
    tables = [_table(_rows(schema, ""))]
    for form in catalogue["additionalProperties"]["oneOf"]:
        title = f"### `kind: {form['title']}`\n\n{form['description']}"
        tables.append(f"{title}\n\n{_table(_rows(form, ''))}")
    kinds = f"An entry of `catalogue` has a `kind` and that kind's keys. {kind['description']}"
    return "\n\n".join([tables[0], kinds, *tables[1:]])


def _table(rows: Iterator[tuple[str, str, str, str]]) -> str:
    lines = ("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)
    return "\n".join([_HEADER, *lines])


def _rows(schema: Schema, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    required = schema.get("required", ())
    for name, described in schema.get("properties", {}).items():
        if "const" in described:
            continue
        # A mapping with keys of its own has no value to choose: its keys' rows tell their defaults.
        nested = "properties" in described
        default = "required" if name in required else "" if nested else _default(described)
        yield f"`{prefix}{name}`", _allowed(described), default, " ".join(described["description"].split())
        if nested:
            yield from _rows(described, f"{prefix}{name}.")


def _default(described: Schema) -> str:
    if "default" not in described:
        return ""
    value = described["default"]
    return f"`{'null' if value is None else str(value).lower() if isinstance(value, bool) else value}`"


def _allowed(described: Schema) -> str:
    if "enum" in described:
        return ", ".join(f"`{value}`" for value in described["enum"])
    types = described["type"]
    names = [_TYPES[name] for name in ([types] if isinstance(types, str) else types)]
    limits = [text.format(described[key]) for key, text in _LIMITS.items() if key in described]
    return " or ".join(names) + ("" if not limits else ", " + ", ".join(limits))


def with_tables(readme: str, tables: str) -> str:
    """Put the tables into a README, between its markers.

    Raises
    ------
    SomarayError
        If the markers are not there exactly once.
    """
    if len(_BLOCK.findall(readme)) != 1:
        raise SomarayError(f"no place for the tables of keys: expected one pair of lines {BEGIN} and {END}")
    return _BLOCK.sub(lambda _: f"{BEGIN}\n\n{tables}\n\n{END}", readme)


def main() -> None:
    """Rewrite the tables in the file that the command line names."""
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text(), render_tables(load_schema())))


if __name__ == "__main__":
    main()
