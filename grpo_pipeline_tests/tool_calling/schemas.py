"""What calls break in the JSON schemas of their tools."""

from typing import Any

KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


def faults(value: object, schema: dict[str, Any]) -> list[str]:
    """What a value breaks in its JSON schema."""
    kind = KINDS[schema["type"]]
    if not isinstance(value, kind) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return [f"{value!r} is no {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{value!r} is not among {schema['enum']}"]
    if isinstance(value, list):
        return [fault for item in value for fault in faults(item, schema["items"])]
    if isinstance(value, dict):
        return argument_faults(value, schema)
    return []


def argument_faults(arguments: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    found = [f"{name} is missing" for name in schema.get("required", []) if name not in arguments]
    found += [f"{name} is unknown" for name in arguments if name not in schema["properties"]]
    known = {name: value for name, value in arguments.items() if name in schema["properties"]}
    return found + [fault for name, value in known.items() for fault in faults(value, schema["properties"][name])]
