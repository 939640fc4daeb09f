"""Check a configuration against its JSON schema; errors are one line that names file, key, value and what is allowed."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from somaray.errors import SomarayError

SCHEMA_DIR = Path(__file__).resolve().parents[2] / "config" / "schema"
COMMAND_LINE = "the command line"

Key = tuple[str | int, ...]


class Origins:
    """Knows which configuration file a key came from: the last one that sets it, as later files merge over earlier ones."""

    def __init__(self, files: Sequence[str | Path] = ()) -> None:
        self._layers: list[tuple[str, Any]] = []
        for path in files:
            with Path(path).open() as stream:
                self._layers.append((str(path), yaml.safe_load(stream)))

    def of(self, key: Key) -> str:
        """Name the file that sets `key` (or else what stands above it), or the command line if none does."""
        for depth in range(len(key), 0, -1):
            for path, layer in reversed(self._layers):
                if _has(layer, key[:depth]):
                    return path
        return self._layers[-1][0] if self._layers and not key else COMMAND_LINE

    def values(self, key: Key) -> list[Any]:
        """What each file that sets `key` says of it, in the order of the files."""
        return [_at(layer, key) for _, layer in self._layers if _has(layer, key)]

    def error(self, key: Key, problem: str) -> SomarayError:
        """A mistake at `key`: file, key, then what is wrong and what was expected."""
        return SomarayError(f"{self.of(key)}: {dotted(key)}: {problem}")


def dotted(key: Key) -> str:
    """Write a key as people do: `catalogue.heart.n_obs`, `parallelism[0]`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(top level)"


def _at(node: Any, key: Key) -> Any:
    for part in key:
        node = node[part]
    return node


def _has(node: Any, key: Key) -> bool:
    for part in key:
        if isinstance(node, Mapping) and part in node:
            node = node[part]
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            return False
    return True


@cache
def load_schema() -> Mapping[str, Any]:
    """Load the configuration's JSON schema, with the catalogue's put in its place."""
    schema = yaml.safe_load((SCHEMA_DIR / "config.schema.yaml").read_text())
    catalogue = yaml.safe_load((SCHEMA_DIR / "datasets.schema.yaml").read_text())
    schema["properties"]["catalogue"] = {key: value for key, value in catalogue.items() if key != "$schema"}
    variant = schema["properties"]["variants"]["additionalProperties"]["properties"]
    for name in variant:
        if name in schema["properties"]:
            variant[name] = _without_defaults(schema["properties"][name])
    pattern = schema["properties"]["exclude"]["items"]
    keys = {name: described for name, described in pattern["properties"].items() if name != "variant"}
    variant["only"]["items"] = {**pattern, "properties": keys}
    return schema


def _without_defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same setting where it is laid over another: what is not said there stays as it is below."""
    copy = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in copy:
        copy["properties"] = {name: _without_defaults(inner) for name, inner in copy["properties"].items()}
    return copy


def validate(schema: Mapping[str, Any], value: Any, origins: Origins) -> dict[str, Any]:
    """Return a copy of `value` with the schema's defaults filled in.

    Raises
    ------
    SomarayError
        At the most telling mistake.
    """
    _check_names(value, (), origins)
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    if error is not None:
        raise _readable(error, (), origins)
    return _fill(schema, value)


def _check_names(value: Any, key: Key, origins: Origins) -> None:
    """YAML reads `1:` and `yes:` as a number and a boolean, JSON schemas know names of text alone."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check_names(item, (*key, index), origins)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str):
                raise origins.error(key, f"{name!r} is not allowed as a key: expected text, in quotes if need be")
            _check_names(item, (*key, name), origins)


def _fill(schema: Mapping[str, Any], value: Any) -> Any:
    if isinstance(value, Mapping):
        chosen = schema
        for branch in schema.get("oneOf", ()):
            if branch["properties"]["kind"]["const"] == value.get("kind"):
                chosen = branch
        properties, others = chosen.get("properties", {}), chosen.get("additionalProperties")
        filled = {
            name: _fill(properties.get(name, others if isinstance(others, Mapping) else {}), item)
            for name, item in value.items()
        }
        for name, described in properties.items():
            if name not in filled and "default" in described:
                filled[name] = _fill(described, described["default"])
        return filled
    return list(value) if isinstance(value, list) else value


def _readable(error: jsonschema.ValidationError, above: Key, origins: Origins) -> SomarayError:
    """Turn jsonschema's error into one line; `above` is the key of the value that was checked."""
    key: Key = (*above, *error.absolute_path)
    schema: Any = error.schema
    value: Any = error.instance
    rule: Any = error.validator_value
    if error.validator == "oneOf":
        # The kind of a catalogue entry says which form was meant, so the mistake is told against that form alone.
        forms = {form["properties"]["kind"]["const"]: form for form in rule}
        if "kind" not in value:
            return origins.error(key, f"kind is missing: expected one of {', '.join(forms)}")
        if value["kind"] not in forms:
            return origins.error(
                (*key, "kind"), f"{value['kind']!r} is not allowed: expected one of {', '.join(forms)}"
            )
        inner = jsonschema.exceptions.best_match(
            jsonschema.Draft202012Validator(forms[value["kind"]]).iter_errors(value)
        )
        return _readable(inner, key, origins)
    if error.validator == "additionalProperties":
        known = sorted(schema.get("properties", {}))
        unknown = sorted(str(name) for name in value if name not in known)[0]
        return origins.error((*key, unknown), f"unknown key {unknown!r}: expected one of {', '.join(known)}")
    if error.validator == "required":
        missing = next(name for name in rule if name not in value)
        return origins.error(key, f"{missing!r} is missing{_about(schema, missing)}")
    expected = {
        "type": lambda: f"expected {_or(rule)}",
        "enum": lambda: f"expected one of {', '.join(map(str, rule))}",
        "minimum": lambda: f"expected at least {rule}",
        "exclusiveMinimum": lambda: f"expected a number above {rule}",
        "maximum": lambda: f"expected at most {rule}",
        "uniqueItems": lambda: "expected each item once",
        "minItems": lambda: "expected at least one item",
        "minProperties": lambda: "expected at least one key",
        "pattern": lambda: "expected letters, digits, dots, dashes and underscores",
    }.get(str(error.validator), lambda: error.message)()
    return origins.error(key, f"{value!r} is not allowed: {expected}{_about({'properties': {'': schema}}, '')}")


def _about(schema: Mapping[str, Any], name: str) -> str:
    described = schema.get("properties", {}).get(name, {})
    return f" ({described['description']})" if "description" in described else ""


def _or(types: Any) -> str:
    names = {
        "array": "a list",
        "object": "a mapping",
        "string": "text",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "null": "null",
    }
    return " or ".join(names[name] for name in ([types] if isinstance(types, str) else types))
