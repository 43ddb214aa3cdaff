"""JSON schemas of type annotations, which allow in an editor what `sr.options.annotations.fits` allows in a run."""

import dataclasses
import math
import os
import types
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

from sr.options.annotations import Component, Matching, Range

Schema = dict[str, Any]

# A value that is computed when the config is composed, or has to be given on the command line; in ``$defs``.
INTERPOLATION: Schema = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
_REFERENCE: Schema = {"$ref": "#/$defs/interpolation"}

COMPONENT: Schema = {"type": "object", "required": ["_target_"], "properties": {"_target_": {"type": "string"}}}

_SIMPLE: dict[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    complex: "number",
    str: "string",
    types.NoneType: "null",
    None: "null",
}


def any_of(schemas: Sequence[Schema]) -> Schema:
    """What fits one of some schemas; ``{}``, which everything fits, absorbs the others."""
    flat = [part for schema in schemas for part in (schema["anyOf"] if [*schema] == ["anyOf"] else [schema])]
    distinct = [schema for number, schema in enumerate(flat) if schema not in flat[:number]]
    if {} in distinct:
        return {}
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def json_type(annotation: Any) -> Schema:
    """The JSON schema of an annotation; ``{}`` for one that is not understood here.

    >>> json_type(Annotated[int, Range(1)] | None)
    {'anyOf': [{'type': 'integer', 'minimum': 1}, {'type': 'null'}]}
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return {}
    if isinstance(annotation, NewType):
        return json_type(annotation.__supertype__)
    if origin is Annotated:
        return json_type(arguments[0]) | _checks(arguments[1:])
    if origin in (Union, types.UnionType):
        return any_of([json_type(alternative) for alternative in arguments])
    if origin is Literal:
        return {"enum": list(arguments)}
    if annotation in _SIMPLE:
        return {"type": _SIMPLE[annotation]}
    kind = annotation if origin is None else origin
    return _of_class(kind, arguments) if isinstance(kind, type) else {}


def _checks(checks: Sequence[Any]) -> Schema:
    schema: Schema = {}
    for check in checks:
        if isinstance(check, Range):
            schema["exclusiveMinimum" if check.open_start else "minimum"] = check.least
            if check.most < math.inf:
                schema["maximum"] = check.most
        elif isinstance(check, Matching):
            schema["pattern"] = f"^(?:{check.pattern})$"
    return schema


def _of_class(kind: type, arguments: tuple[Any, ...]) -> Schema:
    if kind in (object, type):
        return {}
    if kind is Component:
        return COMPONENT
    if issubclass(kind, Enum):
        names = [name for member in kind for name in (str(member.value), member.name)]
        return {"enum": list(dict.fromkeys(names))}
    if issubclass(kind, os.PathLike):
        return {"type": "string"}
    if issubclass(kind, Mapping):
        items = json_type(arguments[1]) if len(arguments) == 2 else {}
        return {"type": "object", **({"additionalProperties": items} if items else {})}
    if issubclass(kind, tuple) and arguments and arguments[-1] is not Ellipsis:
        elements = [json_type(argument) for argument in arguments]
        return {"type": "array", "prefixItems": elements, "items": False, "minItems": len(elements)}
    if issubclass(kind, Sequence | Set) or _accepts_lists(kind):
        return {"type": "array", **({"items": json_type(arguments[0])} if arguments else {})}
    return COMPONENT


def _accepts_lists(kind: type) -> bool:
    try:
        return issubclass(list, kind)
    except TypeError:  # a protocol that is not runtime-checkable
        return False


def computed(schema: Schema) -> Schema:
    """A schema that an interpolation fits, too."""
    return any_of([schema, _REFERENCE]) if schema and schema != {"type": "string"} else schema


def object_or(schema: Schema, others: Sequence[Schema] = ()) -> Schema:
    """A schema of an object, or one of some others, or an interpolation; errors in the object are reported as such."""
    return {"if": {"type": "object"}, "then": schema, "else": any_of([*others, _REFERENCE])}


def structured(kind: type) -> Schema:
    """The JSON schema of a dataclass that Hydra validates: no other keys than its fields, at any depth.

    Args:
        kind: such as ``HydraConf``, or the config of a sweeper.
    """
    hints = get_type_hints(kind)
    properties: dict[str, Schema] = {"_target_": {"type": "string"}}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        is_node = isinstance(hint, type) and dataclasses.is_dataclass(hint)
        properties[field.name] = object_or(structured(hint)) if is_node else computed(json_type(hint))
    return {"type": "object", "properties": properties, "additionalProperties": False}
