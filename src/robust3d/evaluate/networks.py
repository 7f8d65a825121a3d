"""The network of `robust3d evaluate` and `probe`: a user's file, a published one by its name, or a model made here."""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

from robust3d import registry
from robust3d.architectures import DEFAULT, ArchitectureParams, Weights, architecture
from robust3d.errors import UserError
from robust3d.files import sha256
from robust3d.models.classifier import Classifier, load_classifier
from robust3d.models.files import load_state
from robust3d.models.normalisation import Normalisation
from robust3d.models.recognition import classifier_state
from robust3d.params import Params
from robust3d.parsing import parse
from robust3d.study.yaml_text import parse_yaml

DOWNLOADED = "resources/{name}.pth"  # by `snakemake download_NAME`
MARGIN_PX = 32  # of an image that is cut away, as where ImageNet's classifiers are tested: 256 to 224


@dataclass(frozen=True)
class Network:
    """What is attacked.

    Attributes:
        model: images (B, 3, H, W) in [0, 1] to logits, in eval mode.
        path: of its weights.
        sha256: of that file.
        published: the publication that the file is, if it is one.
        prefix: that all keys in the file had.
        classes: their names, in the order of the outputs; empty where nothing beside the file tells them.
    """

    model: Classifier
    path: Path
    sha256: str
    published: Weights | None
    prefix: str
    classes: tuple[str, ...]

    @property
    def resolution_px(self) -> int | None:
        """Side of the images that it was published for."""
        return self.published.resolution_px if self.published else None

    def resize_px(self, wanted: int | None, resolution_px: int | None) -> int | None:
        """To what the shorter side of a picture is scaled: as asked, or as where published networks are tested."""
        if wanted is not None or resolution_px is not None or self.published is None:
            return wanted
        return self.published.resolution_px + MARGIN_PX


def open_network(model_name: Path, named: str | None, normalisation: Normalisation | None) -> Network:
    """The classifier of a file, or that of an architecture whose published weights are here.

    Args:
        model_name: file, or name of an architecture.
        named: the architecture of the file, as in a configuration; None: that which the .json beside a model made here
            names, or that of which the file is a publication, or else the default.
        normalisation: None: that of the .json or of the publication, or else ImageNet's.

    Raises:
        UserError: there is no such file and no such publication here, or the file is of another network.
    """
    path, name = model_name, named
    if not model_name.exists() and str(model_name) in registry.names("architecture"):
        if named is not None:
            raise UserError(f"--architecture: leave it out, {model_name} is the name of one; or name a file of weights")
        name, path = str(model_name), _published_file(str(model_name))
    digest = sha256(path) if path.is_file() else ""
    published = _published(digest)
    described = _description(path)
    entry = _entry(name or (published[0] if published else DEFAULT))
    if described is not None:
        if name not in (None, described.architecture.name) and entry != described.architecture:
            told = f"the .json beside it says {described.architecture.text}"
            raise UserError(f"--architecture {name}: {path} is another, {told}; leave the option out")
        entry = described.architecture
    kind = architecture(entry)
    weights = published[1] if published and published[0] == kind.name else None
    found = load_state(path)
    try:
        state, prefix = classifier_state(found, path, kind)
    except UserError as error:
        raise UserError(f"{error} (--architecture names another; default: {DEFAULT})") from None
    classes = len(state[f"{kind.head}.weight"])
    if described is not None and len(described.classes) != classes:
        raise UserError(f"{path}: {classes} classes, but {len(described.classes)} in the .json beside it")
    told_by = described or weights
    normalisation = normalisation or (told_by.normalisation if told_by else "imagenet")
    classifier = load_classifier(path, kind, classes, normalisation)
    return Network(classifier, path, digest, weights, prefix, described.classes if described else ())


def _published_file(name: str) -> Path:
    """The file of an architecture's published weights.

    Raises:
        UserError: it is not here; the message says how to get it.
    """
    weights = getattr(registry.load("architecture", name), "WEIGHTS", None)
    if weights is None:
        raise UserError(f"{name}: no weights of it are published; name a file")
    if not weights.has_classes:
        raise UserError(f"{name}: {weights.name} is a backbone without classes; name the file of a classifier of it")
    path: Path = weights.installed() if weights.package else Path(DOWNLOADED.format(name=name))
    if not path.is_file():
        raise UserError(f"{name}: {weights.name} is not at {path}; get it by: snakemake download_{name}")
    if not sha256(path).startswith(weights.sha256):
        raise UserError(f"{path}: not {weights.name}, its sha256 does not begin with {weights.sha256}; get it again")
    return path


def _published(digest: str) -> tuple[str, Weights] | None:
    """The architecture and the publication that a file is, by its sha256."""
    for name in registry.names("architecture") if digest else ():
        weights: Weights | None = getattr(registry.load("architecture", name), "WEIGHTS", None)
        if weights and digest.startswith(weights.sha256):
            return name, weights
    return None


def _entry(text: str) -> ArchitectureParams:
    """The architecture that the command line names, as a configuration would."""
    entry = parse_yaml(f"architecture: {text}", f"--architecture {text}")["architecture"]
    try:
        found: ArchitectureParams = parse(ArchitectureParams, entry, "architecture")
        return found
    except ValueError as error:
        raise UserError(f"--architecture: {error}") from None


class _Description(Params):
    """What the .json beside a model that was made here says of it."""

    model_config = ConfigDict(extra="ignore")

    classes: tuple[str, ...]
    normalisation: Normalisation
    architecture: ArchitectureParams


def _description(path: Path) -> _Description | None:
    """The description of a model that was made here; None: the file is another one.

    Raises:
        UserError: the file beside it does not describe a model.
    """
    beside = path.with_suffix(".json")
    if path.suffix != ".safetensors" or not beside.is_file():
        return None
    try:
        found: _Description = parse(_Description, json.loads(beside.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, UserError) as error:
        why = f"{error}".replace("\n", " ")[:120]
        raise UserError(f"{beside}: does not describe a model ({why}); move it away, or copy it again") from None
    return found
