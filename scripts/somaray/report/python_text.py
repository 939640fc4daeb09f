"""Pieces of Python source, as formatters like them."""

import json
from collections.abc import Mapping
from typing import Any


def python_text(value: Any) -> str:
    """A value as Python reads it, text in double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{python_text(name)}: {python_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(python_text, value)) + "]"
    return repr(value)


def with_mapping(before: str, value: Mapping[str, Any], after: str) -> list[str]:
    """A call with a mapping for its argument, a line an item."""
    if not value:
        return [before + "{}" + after]
    items = [f"    {python_text(name)}: {python_text(item)}," for name, item in value.items()]
    return [before + "{", *items, "}" + after]


def call(before: str, arguments: Mapping[str, str]) -> list[str]:
    """A call with named arguments, which are Python already, a line each."""
    return [f"{before}(", *(f"    {name}={value}," for name, value in arguments.items()), ")"]


def indented(lines: list[str]) -> list[str]:
    """Lines a block further in."""
    return [f"    {line}" if line else "" for line in lines]
