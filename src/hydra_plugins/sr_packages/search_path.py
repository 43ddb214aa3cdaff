"""The ``conf`` folders of installed packages with an entry point in the group ``sr.networks``."""

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class AnnouncedPackages(SearchPathPlugin):
    """Appends ``PACKAGE/conf`` of each, so that ``model=NAME`` finds what a package brings; names of sr win."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folders that exist; nothing of the packages is imported."""
        modules = {point.module for point in entry_points(group="sr.networks")}
        for package in sorted({module.rpartition(".")[0] or module for module in modules}):
            spec = find_spec(package)
            for place in (spec.submodule_search_locations or []) if spec else []:
                folder = Path(place) / "conf"
                if folder.is_dir():
                    search_path.append(provider=package, path=f"file://{folder}")
