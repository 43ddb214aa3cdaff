"""The tables of options in the documentation, from the files in conf/ and the signatures and docstrings they refer to.

python -m scripts.release.options_reference      # prints the Markdown of docs/reference/options.md
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import griffe
from omegaconf import OmegaConf

from sr.options.descriptions import comments

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"

_GROUP_LINE = re.compile(r"  - (?:optional )?(\w+): \w+")
_NOT_OPTIONS = {"_target_", "_partial_", "defaults"}


@dataclass
class Option:
    """One row of a table.

    Attributes:
        path: how the command line names it.
        default: its value in the file.
        annotation: type in the signature of the class it goes to; empty if unknown.
        meaning: from the docstring, otherwise the comment in the file.
    """

    path: str
    default: str
    annotation: str
    meaning: str


class Signatures:
    """Parameters of the classes and functions of `sr`, read without importing them."""

    def __init__(self) -> None:
        """Read the source of the package."""
        self._package = griffe.load("sr", search_paths=[str(ROOT / "src")])

    def find(self, target: str) -> griffe.Class | griffe.Function | None:
        """The class or function that ``_target_`` names; None for those of other packages."""
        if not target.startswith("sr."):
            return None
        found = self._package[target.removeprefix("sr.")]
        return found if isinstance(found, griffe.Class | griffe.Function) else None

    def summary(self, target: str) -> str:
        """First line of its docstring."""
        found = self.find(target)
        return found.docstring.value.splitlines()[0] if found and found.docstring else ""

    def parameters(self, target: str) -> dict[str, tuple[str, str]]:
        """Annotation and meaning of each parameter."""
        found = self.find(target)
        if not found:
            return {}
        meanings: dict[str, str] = {}
        initializer = found.members.get("__init__")
        for documented in (found, initializer):
            if documented is not None and documented.docstring:
                meanings |= _meanings(documented.docstring)
        return {
            parameter.name: (str(parameter.annotation or ""), meanings.get(parameter.name, ""))
            for parameter in found.parameters
        }


def _meanings(docstring: griffe.Docstring) -> dict[str, str]:
    kinds = (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes)
    sections = [section for section in docstring.parse("google", warnings=False) if section.kind in kinds]
    return {item.name: " ".join(item.description.split()) for section in sections for item in section.value}


def introduction(text: str) -> str:
    """The comment at the head of a YAML file as Markdown; indented lines are commands."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            lines.append(line.removeprefix("#").removeprefix(" "))
    blocks = re.sub(
        r"(?:^ {2}.*\n?)+", lambda match: f"\n```text\n{match[0].rstrip()}\n```\n", "\n".join(lines), flags=re.M
    )
    return blocks.replace("\n  ", "\n").strip()


def options(
    values: Mapping[str, Any], notes: Mapping[str, str], signatures: Signatures, target: str = ""
) -> Iterator[Option]:
    """Rows of the leaves of a config, depth first, with paths relative to it.

    Args:
        values: the config, not resolved.
        notes: comments of its file, by path.
        signatures: what is known of the classes that the options go to.
        target: the class, where the config does not name one itself.
    """
    parameters = signatures.parameters(str(values.get("_target_", target)))
    for key, value in values.items():
        if key in _NOT_OPTIONS:
            continue
        annotation, meaning = parameters.get(key, ("", ""))
        if isinstance(value, dict) and value:
            inside = f"{key}."
            inner_notes = {path.removeprefix(inside): note for path, note in notes.items() if path.startswith(inside)}
            for option in options(value, inner_notes, signatures):
                yield Option(f"{key}.{option.path}", option.default, option.annotation, option.meaning)
        else:
            yield Option(key, _as_yaml(value), annotation, meaning or notes.get(key, ""))


def _as_yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "[" + ", ".join(map(_as_yaml, value)) + "]" if isinstance(value, list) else str(value) or "''"


def choice(path: Path, signatures: Signatures) -> str:
    """Section of one choice of a group."""
    text = path.read_text()
    group = path.parent.relative_to(CONF).as_posix()
    values: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    is_global = "# @package _global_" in text
    target = str((values.get(group, {}) if is_global else values).get("_target_", ""))
    base = next((name for name in values.get("defaults", []) if isinstance(name, str) and name != "_self_"), "")
    base_target = ""
    if base and not target and (path.parent / f"{base}.yaml").is_file():
        base_values: Any = OmegaConf.load(path.parent / f"{base}.yaml")
        base_target = str(base_values.get("_target_", ""))
    parts = [
        f"### `{group}={path.stem}`",
        signatures.summary(target),
        introduction(text),
        f"The same as `{group}={base}`, with other values:" if base_target else "",
        f"Class or function: `{target}`" if target else "",
        _table([*options(values, comments(text), signatures, base_target)], "" if is_global else f"{group}."),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(rows: list[Option], prefix: str) -> str:
    if not rows:
        return ""
    titles = ["option", "default", "type", "meaning"]
    cells = [
        [
            f"`{prefix.replace('/', '.')}{row.path}`",
            f"`{row.default}`",
            f"`{row.annotation}`" if row.annotation else "",
            row.meaning.replace("``", "`").replace("*", "\\*"),
        ]
        for row in rows
    ]
    filled = [number for number in range(len(titles)) if any(line[number] for line in cells)]
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", "&#124;") for cell in line] for line in cells)]
    return "\n".join(f"| {' | '.join(line[number] for number in filled)} |" for line in lines)


def groups() -> list[str]:
    """The groups in the order of conf/train.yaml, and then the launchers."""
    return [*_GROUP_LINE.findall((CONF / "train.yaml").read_text()), "hydra/launcher"]


def sweeper(signatures: Signatures) -> str:
    """Section of the search, whose options stand in a dataclass rather than a file."""
    module = griffe.load("hydra_plugins.sr_optuna.sweeper", search_paths=[str(ROOT / "src")])
    config = module["OptunaSweeperConf"]
    meanings = _meanings(config.docstring) if config.docstring else {}
    rows = [
        Option(name, str(attribute.value or ""), str(attribute.annotation or ""), meanings[name])
        for name, attribute in config.attributes.items()
        if name in meanings
    ]
    for row in rows:
        row.default = {"None": "null", "field(default_factory=dict)": "{}"}.get(row.default, row.default.strip("'"))
    title = "### `hydra/sweeper=optuna`\n\nSearch for good options with [Optuna](https://optuna.org).\n\n"
    return title + _table(rows, "hydra.sweeper.")


def page() -> str:
    """All groups and their options as Markdown."""
    signatures = Signatures()
    text = (CONF / "train.yaml").read_text()
    values: Any = OmegaConf.to_container(OmegaConf.load(CONF / "train.yaml"), resolve=False)
    top = {key: value for key, value in values.items() if key not in ("defaults", "hydra")}
    parts = ["## Options of every run", _table([*options(top, comments(text), signatures)], "")]
    for group in groups():
        parts.append(f"## Group `{group}`")
        parts += [choice(path, signatures) for path in sorted((CONF / group).glob("*.yaml"))]
    return "\n\n".join([*parts, "## Group `hydra/sweeper`", sweeper(signatures)])


if __name__ == "__main__":
    print(page())
