"""The study's configuration as a typed model, and the one way to load it; checked before anything runs.

Layers, later over earlier: the papers' own files, `config.yaml`, the overlay of the scale, the user's overlays, values
of the command line.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import BeforeValidator, Field, model_validator

from robust3d.attacks.budgets import NORMS, Budget, check_spelling
from robust3d.attacks.params import AutoAttackParams, Norm
from robust3d.cameras import CameraParams
from robust3d.data.params import BackgroundParams, SetParams, SplitParams, TextureParams
from robust3d.errors import UserError
from robust3d.params import Params, PathText
from robust3d.rendering.params import RenderParams
from robust3d.study import registry
from robust3d.study.keys import check_known, in_order
from robust3d.study.like import merge, resolve_likes
from robust3d.study.parsing import parse
from robust3d.study.places import scale_file
from robust3d.study.registry import MAIN
from robust3d.study.targets import paper_files
from robust3d.study.yaml_text import check_plain, parse_yaml
from robust3d.training.params import ClassifierParams

_LARGEST_FILE = 1 << 20  # bytes of one configuration file
PRETRAININGS = ("ae", "vae", "dvr", "pixelnerf")  # the main paper's columns; further ones follow by name


class Family(Params):
    """Objects of one kind: built and rendered here, meshes from disk rendered here, or views from disk."""

    kind: str  # the module that makes or reads them, in robust3d.shapes or robust3d.families
    shapes: dict[str, Any]  # that module's parameters
    cameras: CameraParams | None = None  # not for views from disk, which bring theirs
    render: RenderParams | None = None
    shard_instances: int | None = Field(None, ge=1)  # instances of one class in one file; changes no pixel
    split: SplitParams | None = SplitParams()  # none: only looked at, never trained or tested on

    @model_validator(mode="after")
    def _check_shapes(self) -> "Family":
        self.shape_params()
        ours = {"cameras": self.source != "views", "render": self.source != "views"}
        for name, wanted in (ours | {"shard_instances": self.source == "built"}).items():
            if (getattr(self, name) is not None) != wanted:
                what = "missing" if wanted else f"has no meaning for kind {self.kind}; leave it out"
                raise ValueError(f"{name}: {what}")
        mode = self.split.mode if self.split else "random"
        if mode != "random" and (mode == "published") == (self.source == "built"):
            raise ValueError(f"split.mode: {mode} has no meaning for kind {self.kind}")
        return self

    @property
    def source(self) -> Literal["built", "meshes", "views"]:
        """What the module gives: meshes that it builds, meshes from disk, or views from disk."""
        return getattr(registry.load("family", self.kind), "SOURCE", "built")

    def shape_params(self) -> Any:
        """The module's own, checked parameters."""
        return parse(registry.load("family", self.kind).Params, self.shapes, "shapes")

    @property
    def views(self) -> int:
        """Of each instance."""
        return self.cameras.views if self.cameras else self.shape_params().views

    @property
    def resolution_px(self) -> int:
        """Side of a view."""
        return self.render.resolution_px if self.render else self.shape_params().resolution_px


class ImageSet(SetParams):
    """A classification set: so many images of a family, drawn inside its splits."""

    family: str  # key of `families`


class PretrainingData(Params):
    """What a pre-training sees where it is not the objects of the experiment."""

    family: str  # key of `families`, all of its classes
    input: BackgroundParams  # what the encoder sees
    target: BackgroundParams  # what is reconstructed


class Pretraining(Params):
    """One way to initialise the classifier's trunk; a column of the tables."""

    label: str  # as printed: `AE` makes the column `AE+AT`
    method: str  # the module in robust3d.pretraining
    params: dict[str, Any] = Field(default_factory=dict)  # the method's own
    experiments: tuple[str, ...] | None = None  # where it takes part; all of them if left out
    data: PretrainingData | None = None  # of its own; left out: objects and backgrounds of each experiment

    @model_validator(mode="after")
    def _check_method(self) -> "Pretraining":
        self.method_params()
        return self

    def method_params(self) -> Params:
        """The method's own, checked parameters."""
        return parse(registry.load("pretraining", self.method).Params, self.params, "params")

    @property
    def trains(self) -> bool:
        """Whether there is anything to train: a method without `make_task` hands on weights that lie on disk."""
        return hasattr(registry.load("pretraining", self.method), "make_task")


class Attack(Params):
    """AutoAttack over a grid of budgets."""

    epsilons: tuple[Budget, ...] = Field(min_length=1)  # ascending, above zero; 8/255 may be written so
    settings: dict[str, Any] = Field(default_factory=dict)  # further keys of robust3d.attacks.params.AutoAttackParams

    def params(self, norm: str, epsilons: Sequence[Budget] | None = None) -> AutoAttackParams:
        """The attack's parameters for one norm, over other budgets if `epsilons` names some."""
        grid = [str(budget) for budget in (self.epsilons if epsilons is None else epsilons)]
        return parse(AutoAttackParams, {"norm": norm, "epsilons": grid, **self.settings})


class Experiment(Params):
    """One train-and-test comparison: a data set, the pre-trainings to compare, and how they are judged."""

    set: str  # key of `sets`: training, validation and test images
    pretrain_input: BackgroundParams  # what the encoder sees during pre-training
    pretrain_target: BackgroundParams  # what is reconstructed
    classifiers: tuple[
        str, ...
    ]  # keys of `classifiers`: adversarially trained ones, from scratch and from each encoder
    controls: tuple[str, ...] = ()  # keys of `classifiers` trained from scratch only, such as standard training
    shifted: str | None = None  # key of `sets` that breaks a correlation of `set`; tested without attack
    epsilons: dict[Literal["Linf", "L2"], tuple[Budget, ...]] = Field(default_factory=dict)  # its own budgets, in
    # place of those under `attacks`


def _read_sections(values: Any) -> Any:
    """Each paper's section by its own class; a paper whose section is null is left out of the study."""
    if not isinstance(values, Mapping):
        return values
    there = {name: section for name, section in values.items() if section is not None}
    return {name: parse(registry.load("paper", name).Section, section, name) for name, section in there.items()}


class Study(Params):
    """The whole configuration."""

    study: str  # a name for this scale; stands in every cell
    store: PathText | None = (
        None  # folder of finished jobs shared with other checkouts or users; none: this project's own
    )
    seed: int = Field(ge=0)  # of everything that is drawn: shapes, cameras, splits, backgrounds, attacks
    numerics: Literal["native", "portable"] = "native"  # portable: the same bytes on every AVX2 processor, slower
    training_seeds: tuple[int, ...] = Field(min_length=1)  # one model each; cells hold their mean
    pretraining_seed: int | None = None  # of the one pre-training that all training seeds share; none: each its own
    textures: TextureParams
    families: dict[str, Family]
    sets: dict[str, ImageSet]
    pretraining: Annotated[dict[str, Pretraining], in_order(PRETRAININGS)]  # the order of columns
    classifiers: dict[str, ClassifierParams]
    attacks: Annotated[dict[Literal["Linf", "L2"], Attack], in_order(NORMS)]
    experiments: dict[str, Experiment]
    papers: Annotated[dict[str, Params], in_order((MAIN,)), BeforeValidator(_read_sections)]  # a section each

    @model_validator(mode="after")
    def _check_references(self) -> "Study":
        for name, image_set in self.sets.items():
            check_known(f"sets.{name}.family", image_set.family, self.families)
        for name, experiment in self.experiments.items():
            at = f"experiments.{name}"
            check_known(f"{at}.set", experiment.set, self.sets)
            for key in experiment.classifiers + experiment.controls:
                check_known(f"{at}.classifiers", key, self.classifiers)
            if experiment.shifted is not None:
                check_known(f"{at}.shifted", experiment.shifted, self.sets)
        for name, entry in self.pretraining.items():
            for key in entry.experiments or ():
                check_known(f"pretraining.{name}.experiments", key, self.experiments)
            if entry.data is not None:
                at = f"pretraining.{name}.data"
                check_known(f"{at}.family", entry.data.family, self.families)
                if self.families[entry.data.family].split is None:
                    raise ValueError(f"{at}.family: {entry.data.family!r} has no split, so nothing is trained on it")
                if not entry.trains:
                    raise ValueError(f"{at}: method {entry.method} trains nothing; leave it out")
        for key in self.experiments:
            self._check_labels(key)
        for norm, attack in self.attacks.items():
            attack.params(norm)
        for name, experiment in self.experiments.items():
            for norm in experiment.epsilons:
                check_known(f"experiments.{name}.epsilons", norm, self.attacks)
                try:
                    self.attack_params(experiment, norm)
                except ValueError as error:
                    raise ValueError(f"experiments.{name}.epsilons.{norm}: {error}") from None
        for norm, attack in self.attacks.items():  # one name each, for rows of several experiments stand in one table
            own = {
                f"experiments.{key}.epsilons.{norm}": e.epsilons.get(norm, ()) for key, e in self.experiments.items()
            }
            check_spelling({f"attacks.{norm}.epsilons": attack.epsilons, **own})
        for name, section in self.papers.items():
            try:
                section.check(self)  # type: ignore[attr-defined]
            except ValueError as error:
                raise ValueError(f"papers.{name}.{error}") from None
        return self

    def _check_labels(self, experiment: str) -> None:
        """Two columns of one name would be one cell."""
        bearers: dict[str, str] = {}
        for name in self.compared(experiment):
            label = self.pretraining[name].label
            if bearers.setdefault(label, name) != name:
                raise ValueError(f"pretraining.{name}.label: {label!r} is already the label of {bearers[label]}")

    def compared(self, experiment: str) -> list[str]:
        """Keys of the pre-trainings that take part in an experiment, in the order of their columns."""
        entries = self.pretraining.items()
        return [key for key, entry in entries if entry.experiments is None or experiment in entry.experiments]

    def epsilons(self, experiment: Experiment, norm: Norm) -> tuple[Budget, ...]:
        """The budgets of an experiment, ascending, 0 not among them."""
        return experiment.epsilons.get(norm, self.attacks[norm].epsilons)

    def attack_params(self, experiment: Experiment, norm: Norm) -> AutoAttackParams:
        """How an experiment's classifiers are attacked."""
        return self.attacks[norm].params(norm, self.epsilons(experiment, norm))


SECTIONS = tuple(name for name, field in Study.model_fields.items() if get_origin(field.annotation) is dict)


def read_yaml(path: Path) -> dict[str, Any]:
    """One configuration file.

    Raises:
        UserError: missing, unreadable, not a mapping, or with values that YAML reads as something else than they are.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UserError(f"{path}: {path.stat().st_size:,} bytes are too many for a configuration")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such configuration file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8; save it as one") from None
    return parse_yaml(text, str(path))


def read_papers() -> dict[str, Any]:
    """What the papers' own files define: the section of each paper, and entries that it adds to shared sections.

    Raises:
        UserError: a file sets a key that is no section with entries, the section of another paper, or an entry that
            another paper's file defines too.
    """
    values: dict[str, Any] = {}
    places: dict[str, Path] = {}
    for paper, path in paper_files().items():
        for section, entries in read_yaml(path).items():
            if section not in SECTIONS or not isinstance(entries, Mapping):
                raise UserError(f"{path}: {section}: a paper's file only adds entries to {', '.join(SECTIONS)}")
            for entry in entries:
                key = f"{section}.{entry}"
                if section == "papers" and entry != paper:
                    raise UserError(
                        f"{path}: {key}: this file belongs to the paper {paper!r}; remove the other section"
                    )
                if places.setdefault(key, path) != path:
                    raise UserError(f"{path}: {key}: {places[key]} defines it too; choose another name")
            values = merge(values, {section: entries})
    return values


def command_line(entries: Sequence[str]) -> dict[str, Any]:
    """The values of `--config KEY=VALUE …`: each is read as the line `KEY: VALUE` of a configuration file would be.

    Raises:
        UserError: naming the entry that is no YAML.
    """
    values: dict[str, Any] = {}
    for entry in entries:
        key, _, value = entry.partition("=")
        values = merge(values, parse_yaml(f"{key}: {value}", f"--config {entry}"))
    return values


def load_study(values: Mapping[str, Any]) -> Study:
    """The checked study of merged layers.

    Raises:
        UserError: naming every key that is wrong and what is allowed.
    """
    try:
        return parse(Study, resolve_likes(values))
    except ValueError as error:
        raise UserError(f"the configuration is wrong:\n{_indent(str(error))}") from None


def read_study(paths: Sequence[Path], given: Mapping[str, Any] | None = None) -> Study:
    """The study for everybody, `snakemake` and `robust3d` alike.

    Args:
        paths: `config.yaml`, then overlays, later ones over earlier ones.
        given: values of the command line, over all of them.

    The files of the papers (`read_papers`) are the lowest layer. The key `scale`, in any of `paths` or in `given`,
    names an overlay of `workflow/scales`, which is merged directly after `config.yaml`. The last mention counts; null
    means none.

    Raises:
        UserError: a file, the scale's name or a key is wrong.
    """
    layers = [read_papers(), *(read_yaml(path) for path in paths)]
    if given:
        check_plain(dict(given), "--config")
        layers.append(dict(given))
    scales = [layer.pop("scale") for layer in layers if "scale" in layer]
    if scales and scales[-1] is not None:
        layers.insert(2, read_yaml(scale_file(scales[-1])))
    values: dict[str, Any] = {}
    for layer in layers:
        values = merge(values, layer)
    return load_study(values)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
