"""The config groups: their choices as Hydra finds them, read from their files with what they are based on."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from sr.options.descriptions import comments

TOP = "train"  # the config that all groups are part of

_GLOBAL = "_global_"
_PACKAGE = re.compile(r"(?:#.*\n|\s*\n)*?#\s*@package[ \t]+(?P<package>\S+)")  # among the comments at the head


@dataclass
class Choice:
    """One choice of a group.

    Attributes:
        values: unresolved, without ``defaults``, with those of the choices that it is based on.
        notes: comments behind the keys, by dotted path.
        package: where the values belong in the whole config.
        overrides: the choices of other groups that it makes, by group.
    """

    values: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    package: str = ""
    overrides: dict[str, Any] = field(default_factory=dict)

    def of_group(self, group: str) -> "Choice":
        """What it sets in the package of its own group, for choices that may set anything."""
        if self.package != _GLOBAL:
            return self
        notes = {path.partition(".")[2]: note for path, note in self.notes.items() if path.startswith(f"{group}.")}
        return Choice(self.values.get(group, {}), notes, group, self.overrides)


@dataclass(frozen=True)
class Groups:
    """What Hydra can choose from.

    Attributes:
        folders: of configs, in the order in which they are searched.
        names: the choices of each group.
    """

    folders: list[Path]
    names: dict[str, list[str]]

    def choices(self, group: str) -> dict[str, Choice]:
        """The choices of a group that are files, by name; what they are based on is merged into them."""
        found = {name: read_choice(self.folders, group, name) for name in self.names.get(group, [])}
        return {name: choice for name, choice in found.items() if choice}


def find_groups(config_dir: Path, more: Sequence[Path] = ()) -> Groups:
    """Find the config groups of sr, of installed plugins, and of more folders.

    Args:
        config_dir: the folder of ``train.yaml``.
        more: folders of the user, as for ``--config-dir`` of ``sr train``.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_dir(str(config_dir), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        paths = [element.path or "" for element in loader.get_search_path().get_path()]
        folders = [Path(path.removeprefix("file://")) for path in paths if path and _is_folder(path)]
        folders += [path for path in more if path not in folders]
        of_files = {path.parent.name for folder in folders for path in folder.glob("*/*.yaml")} - {"hydra"}
        names = {
            group: set(loader.get_group_options(group)) for group in (*of_files, "hydra/launcher", "hydra/sweeper")
        }
    for group in names:
        names[group] |= {path.stem for folder in more for path in (folder / group).glob("*.yaml")}
    return Groups(folders, {group: sorted(names[group]) for group in sorted(names)})


def _is_folder(path: str) -> bool:
    """Whether an entry of Hydra's search path is a folder, rather than a package such as ``pkg://hydra.conf``."""
    return path.startswith("file://") or "://" not in path


def read_choice(folders: Sequence[Path], group: str, name: str) -> Choice | None:
    """Read a choice from the first folder of configs that has it; None if none has."""
    candidates = (folder / group / f"{name}.yaml" for folder in folders)
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        return None
    text = path.read_text(encoding="utf-8")
    values: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=False) if text.strip() else {}
    header = _PACKAGE.match(text)
    result = Choice(package=header["package"] if header else group.replace("/", "."))
    for entry in values.pop("defaults", []):
        if isinstance(entry, Mapping):
            result.overrides |= {str(key).split()[-1].lstrip("/"): value for key, value in entry.items()}
        elif entry != "_self_":
            _add_base(result, folders, group, entry)
    result.values = _merged(result.values, values)
    result.notes |= comments(text)
    return result


def _add_base(result: Choice, folders: Sequence[Path], group: str, entry: str) -> None:
    """Add what an entry of ``defaults`` names, such as ``isr``, or ``mae@terms.luma`` for a part."""
    name, _, place = entry.partition("@")
    base = read_choice(folders, group, name)
    if base is None:
        return
    values: Any = base.values
    for key in reversed(place.split(".") if place else []):
        values = {key: values}
    prefix = f"{place}." if place else ""
    result.values = _merged(result.values, values)
    result.notes |= {f"{prefix}{path}": note for path, note in base.notes.items()}
    if not place:
        result.overrides |= base.overrides


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two configs in one; the second has priority.

    >>> _merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    """
    both = dict(first)
    for key, value in second.items():
        old = both.get(key)
        both[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return both
