"""JSON schemas of the nodes of a config, from the signatures of what they configure."""

import inspect
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Union

from sr.errors import line_of
from sr.options.annotations import Component, annotations_of, is_component
from sr.options.check import RESERVED, locate, parameters_by_name
from sr.options.descriptions import described_parameters, summary
from sr.options.json_types import COMPONENT, Schema, any_of, computed, json_type, object_or
from sr.options.known import ALSO_VALID, ANNOTATIONS, FOLDERS, FORWARDED_TO, PASSED_BY_NAME, PASSED_FIRST

_MISSING = object()
_NULL: Schema = {"type": "null"}


class NodeSchemas:
    """Makes the schemas of nodes, and remembers what could not be imported.

    Attributes:
        problems: what the schema does not check, by the target that cannot be imported.
    """

    def __init__(self, elsewhere: Iterable[str]) -> None:
        """Take the paths of options that have a schema of their own, such as ``data.degrade``."""
        self._elsewhere = set(elsewhere)
        self.problems: dict[str, str] = {}

    def component(self, path: str, values: Mapping[str, Any], notes: Mapping[str, str]) -> Schema:
        """The schema of a component: the parameters of its target, and no others unless it takes any.

        Args:
            path: where it is in the config, such as ``model``.
            values: its node, not resolved, with ``_target_``.
            notes: comments of its options, by their path below the node.
        """
        name = str(values["_target_"])
        try:
            target = locate(name)
            parameters = inspect.signature(target).parameters
        except Exception as error:  # importing a module of others can raise anything
            self.problems[name] = line_of(error)
            return {"type": "object"}
        options = self._options(path, values, notes, target)
        properties: dict[str, Schema] = {reserved: {} for reserved in RESERVED}
        properties |= {"_target_": {"type": "string", "default": name}} | options
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        if takes_any and name in FORWARDED_TO:
            receiver = locate(FORWARDED_TO[name])
            properties = self._options(path, {}, {}, receiver) | properties
            takes_any = False
        own: Schema = {"type": "object", "description": summary(target), "properties": properties}
        own |= {} if takes_any else {"additionalProperties": False}
        return {"if": {"properties": {"_target_": {"const": name}}}, "then": own, "else": {"type": "object"}}

    def _options(
        self, path: str, values: Mapping[str, Any], notes: Mapping[str, str], target: Any
    ) -> dict[str, Schema]:
        parameters, annotations = inspect.signature(target).parameters, annotations_of(target)
        passed = {*list(parameters)[: PASSED_FIRST.get(path, 0)], *PASSED_BY_NAME.get(path, ())}
        descriptions = described_parameters(target)
        options = {}
        for name, parameter in parameters_by_name(parameters).items():
            option = f"{path}.{name}"
            if name in passed:
                continue
            if option in self._elsewhere:
                options[name] = {"type": "object"}
                continue
            annotation = _annotation(option, annotations.get(name, Any), parameter)
            value = values.get(name, _MISSING)
            schema = self.value(option, value, annotation, _below(notes, name))
            default = parameter.default if value is _MISSING else value
            options[name] = described(schema, descriptions.get(name) or notes.get(name, ""), default)
        return options

    def value(self, path: str, value: object, annotation: Any, notes: Mapping[str, str]) -> Schema:
        """The schema of any option: of its annotation, or of the components that are its default."""
        if isinstance(value, Mapping) and (is_component(value) or any(map(_holds_component, value.values()))):
            null = [part for part in json_type(annotation).get("anyOf", []) if part == _NULL]
            of_node = self.component if is_component(value) else self.named
            return object_or(of_node(path, value, notes), null)
        schema = json_type(annotation)
        return computed(_or_numbers(schema) if path in FOLDERS else schema)

    def named(self, path: str, values: Mapping[str, Any], notes: Mapping[str, str]) -> Schema:
        """The schema of components by name, such as the callbacks; others can be added."""
        properties = {}
        for name, value in values.items():
            part = self.value(f"{path}.{name}", value, Component | None, _below(notes, name))
            properties[name] = described(part, notes.get(name, ""), _MISSING)
        other = object_or(COMPONENT, [_NULL])
        return {"type": "object", "properties": properties, "additionalProperties": other}


def _below(notes: Mapping[str, str], name: str) -> dict[str, str]:
    return {path.removeprefix(f"{name}."): note for path, note in notes.items() if path.startswith(f"{name}.")}


def _holds_component(value: object) -> bool:
    return isinstance(value, Mapping) and (is_component(value) or any(map(_holds_component, value.values())))


def _annotation(option: str, annotation: Any, parameter: inspect.Parameter) -> Any:
    """What `sr.options.check` allows for an option."""
    if option in ANNOTATIONS:
        return ANNOTATIONS[option]
    if option in ALSO_VALID:
        annotation = Union[ALSO_VALID[option], annotation]  # noqa: UP007 - both are variables
    return Union[annotation, None] if parameter.default is None else annotation  # noqa: UP007 - as in `size: int = None`


def _or_numbers(schema: Schema) -> Schema:
    """Numbers besides strings, since YAML reads a folder named 2024 as a number."""
    if schema == {"type": "string"}:
        return {"type": ["string", "number"]}
    parts = {key: _or_numbers(part) for key, part in schema.items() if isinstance(part, dict)}
    alternatives = {key: [_or_numbers(part) for part in schema[key]] for key in ("anyOf",) if key in schema}
    return schema | parts | alternatives


def described(schema: Schema, description: str, default: object) -> Schema:
    """A schema with a description and a default, where there are any."""
    schema = dict(schema)
    if description:
        schema["description"] = description
    if isinstance(default, Path):
        default = str(default)
    if _is_plain(default):
        schema["default"] = default
    return schema


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def union(schemas: Iterable[Schema]) -> Schema:
    """A component of one of several targets, not known which: the options of all of them.

    Targets that take any option are left out, since nothing would be wrong otherwise.
    """
    options: dict[str, list[Schema]] = {}
    for schema in schemas:
        closed = schema.get("then", {})
        if closed.get("additionalProperties") is False:
            for name, option in closed["properties"].items():
                options.setdefault(name, []).append(option)
    properties = {name: _either(alternatives) for name, alternatives in options.items()}
    own: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"if": {"required": ["_target_"]}, "then": {"type": "object"}, "else": own}


def _either(options: list[Schema]) -> Schema:
    """An option of several targets, with the description and the default that they share."""
    notes = ("description", "default")
    types = [{key: value for key, value in option.items() if key not in notes} for option in options]
    shared = {
        key: options[0][key]
        for key in notes
        if key in options[0] and all(option.get(key, _MISSING) == options[0][key] for option in options)
    }
    return any_of(types) | shared
