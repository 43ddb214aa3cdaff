"""The JSON schema of a config such as those in ``conf/experiment``, for completion and checks in an editor.

Every option is optional, since a config is a part of the whole. The options of a network, a loss, and so on, are those
of the choice that ``defaults`` makes, directly or through the experiments that it is based on; otherwise those of all
choices.
"""

from collections.abc import Mapping
from typing import Any, get_type_hints

from omegaconf import OmegaConf

from sr.options.annotations import Component
from sr.options.descriptions import comments
from sr.options.groups import TOP, Choice, Groups
from sr.options.json_types import INTERPOLATION, Schema, any_of, computed, json_type, object_or, structured
from sr.options.known import TopLevel
from sr.options.nodes import NodeSchemas, described, union

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SWEEPER = "hydra/sweeper"
_EXPERIMENT = "experiment"
_NOT_CHECKED = "local"  # of the user, and usually absent


def config_schema(groups: Groups) -> tuple[Schema, dict[str, str]]:
    """The schema, and what it does not check because its target cannot be imported, by target with the reason."""
    choices = {name: groups.choices(name) for name in groups.names}
    places = {name: _place(name, of_group) for name, of_group in choices.items()}
    nodes = NodeSchemas(place for place in places.values() if "." in place)
    schema: Schema = {
        "$schema": DIALECT,
        "title": "sr: a training, a sweep or a search",
        "type": "object",
        "properties": _top_level(groups, choices, nodes),
        "additionalProperties": False,
        "allOf": [],
        "$defs": {"interpolation": INTERPOLATION},
    }
    for group, of_group in choices.items():
        parts = {name: choice.of_group(group) for name, choice in of_group.items()}
        made = {
            name: nodes.component(places[group], part.values, part.notes)
            for name, part in parts.items()
            if "_target_" in part.values
        }
        if made:
            schema["$defs"] |= {f"{group}.{name}": choice for name, choice in made.items()}
            schema["$defs"][group] = union(made.values())
            schema["allOf"].append(_by_choice(group, places[group], list(made), choices[_EXPERIMENT], group))
    sweepers = _sweepers()
    schema["$defs"] |= {f"{_SWEEPER}.{name}".replace("/", "."): sweeper for name, sweeper in sweepers.items()}
    schema["allOf"].append(_by_choice(_SWEEPER, "hydra.sweeper", list(sweepers), choices[_EXPERIMENT], None))
    return schema, nodes.problems


def _place(group: str, choices: Mapping[str, Choice]) -> str:
    """Where the values of a group belong, such as ``data.degrade``."""
    packages = [choice.package for choice in choices.values() if choice.package != "_global_"]
    return packages[0] if packages else group


def _top_level(groups: Groups, choices: Mapping[str, Mapping[str, Choice]], nodes: NodeSchemas) -> dict[str, Schema]:
    from hydra.conf import HydraConf

    text = (groups.folders[0] / f"{TOP}.yaml").read_text(encoding="utf-8")
    values: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    notes = comments(text)
    properties = {"defaults": _defaults(groups)}
    for name, annotation in get_type_hints(TopLevel, include_extras=True).items():
        if name in values:
            schema = nodes.value(name, values[name], annotation, {})
            properties[name] = described(schema, notes.get(name, ""), values[name])
        elif annotation is Component:
            properties[name] = computed({"type": "object"})  # see `_by_choice`
        else:
            properties[name] = object_or(_named(name, choices[name], nodes), [{"type": "null"}])
    return properties | {"hydra": structured(HydraConf) | {"description": "settings of Hydra itself"}}


def _named(group: str, choices: Mapping[str, Choice], nodes: NodeSchemas) -> Schema:
    """A group of named components, of which several choices can be made: the components of all of them."""
    values = {name: value for choice in choices.values() for name, value in choice.values.items()}
    notes = {name: note for choice in choices.values() for name, note in choice.notes.items()}
    return nodes.named(group, values, notes)


def _defaults(groups: Groups) -> Schema:
    """The list of choices."""
    by_key, by_pattern = {}, {r"^(optional )?(override )?/?hydra/": json_type(str | None)}
    for group, names in groups.names.items():
        choice = {"enum": [*names, None]}
        several = {"type": "array", "items": {"enum": names}}
        schema = any_of([choice, several, INTERPOLATION]) if group != _NOT_CHECKED else json_type(str | None)
        by_key[f"override /{group}"] = by_key[group] = schema
        by_pattern[rf"^(optional )?(override )?/?{group}(@[^ ]+)?$"] = schema
    entry: Schema = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    entry |= {"properties": by_key, "patternProperties": by_pattern}
    base = any_of([{"enum": ["_self_", *groups.names.get(_EXPERIMENT, [])]}, {"type": "string", "pattern": "[@/]"}])
    description = "choices of config groups, and the experiments that this one is based on"
    return {"type": "array", "items": any_of([base, entry]), "description": description}


def _sweepers() -> dict[str, Schema]:
    """Sweepers whose options are dataclasses that Hydra knows, by name."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    Plugins.instance()  # finds them
    stored = ConfigStore.instance().repo["hydra"]["sweeper"]
    kinds = {name.removesuffix(".yaml"): OmegaConf.get_type(node.node) for name, node in stored.items()}
    return {name: structured(kind) for name, kind in sorted(kinds.items()) if kind is not None and kind is not dict}


def _by_choice(
    group: str, place: str, names: list[str], experiments: Mapping[str, Choice], otherwise: str | None
) -> Schema:
    """A rule for the options at a place: those of the choice that is made, or of ``otherwise`` if none is."""
    key = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": f"^(optional )?(override )?/?{group}$"}}
    based: dict[str, list[str]] = {}
    for experiment, config in experiments.items():
        if group in config.overrides:
            based.setdefault(str(config.overrides[group]), []).append(experiment)
    of_own = [
        {"if": _has(key | {"additionalProperties": {"const": name}}), "then": _at(place, f"{group}.{name}")}
        for name in names
    ]
    of_base = [
        {"if": _has({"enum": based[name]}), "then": _at(place, f"{group}.{name}")} for name in names if name in based
    ]
    rule = _at(place, otherwise) if otherwise else {}
    if of_base:
        any_base = [experiment for experiments_of_choice in based.values() for experiment in experiments_of_choice]
        rule = {"if": _has({"enum": sorted(any_base)}), "then": {"allOf": of_base}, "else": rule}
    return {"if": _has(key), "then": {"allOf": of_own}, "else": rule}


def _has(entry: Schema) -> Schema:
    """Whether the list of choices has an entry."""
    return {"required": ["defaults"], "properties": {"defaults": {"contains": entry}}}


def _at(place: str, definition: str) -> Schema:
    """A definition, for the options at a place, unless an interpolation is there."""
    schema: Schema = {"if": {"type": "object"}, "then": {"$ref": f"#/$defs/{definition.replace('/', '.')}"}}
    for name in reversed(place.split(".")):
        schema = {"properties": {name: schema}}
    return schema
