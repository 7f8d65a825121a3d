"""The entries of the configuration, each a typed model: families, voxels, sets, pre-trainings, probes, experiments."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from robust3d import registry
from robust3d.architectures import DEFAULT, ArchitectureParams
from robust3d.attacks.budgets import Budget
from robust3d.attacks.params import AutoAttackParams
from robust3d.cameras import CameraParams
from robust3d.data.params import BackgroundParams, SplitParams
from robust3d.errors import UserError
from robust3d.models.normalisation import Normalisation
from robust3d.params import Params, distinct
from robust3d.parsing import parse
from robust3d.rendering.params import RenderParams
from robust3d.shapes.voxels import VoxelParams
from robust3d.study.keys import Keys
from robust3d.training.params import ClassifierParams

RANDOM = "random"  # a start without another encoder
PRETRAININGS = ("ae", "vae", "dvr", "pixelnerf")  # the main paper's columns; further ones follow by name


def _ascending(budgets: tuple[Budget, ...]) -> tuple[Budget, ...]:
    if budgets[0] <= 0 or any(a >= b for a, b in itertools.pairwise(budgets)):
        raise ValueError(f"must be above 0 and strictly ascending, got {', '.join(map(str, budgets))}")
    return budgets


Budgets = Annotated[tuple[Budget, ...], Field(min_length=1), AfterValidator(_ascending)]


class Objects(Params):
    """Objects of one kind: built here, or read from disk as meshes, views or volumes."""

    kind: str  # the module that builds or reads them, in robust3d.shapes or robust3d.families
    shapes: dict[str, Any]  # that module's parameters
    split: SplitParams | None = SplitParams()  # none: only for figures, never for training or tests

    @property
    def source(self) -> Literal["built", "meshes", "views", "volumes"]:
        """What the module provides: built meshes, or meshes, views or volumes from disk."""
        return getattr(registry.load("family", self.kind), "SOURCE", "built")

    @property
    def together(self) -> bool:
        """Whether the module builds the meshes of all classes in one go, because one class depends on others."""
        return hasattr(registry.load("family", self.kind), "build_all")

    def shape_params(self) -> Any:
        """The module's own, checked parameters."""
        return parse(registry.load("family", self.kind).Params, self.shapes, "shapes")

    def _check_objects(self, wanted: Mapping[str, bool]) -> None:
        """Check the module's parameters, that keys are there if and only if they are wanted, and the split."""
        self.shape_params()
        for name, is_wanted in wanted.items():
            if (getattr(self, name) is not None) != is_wanted:
                what = "missing" if is_wanted else f"has no meaning for kind {self.kind}; leave it out"
                raise ValueError(f"{name}: {what}")
        if self.split is not None and self.split.parts is not None and self.source != "built":
            raise ValueError(f"split.parts: has no meaning for kind {self.kind}, whose objects come from disk")
        if self.split is not None and self.split.mode not in (modes := self._split_modes()):
            raise ValueError(
                f"split.mode: {self.split.mode} has no meaning for kind {self.kind}; use {' or '.join(modes)}"
            )

    def _split_modes(self) -> tuple[str, ...]:
        """How its objects can be divided; a module says so where it is another way than for others."""
        usual = ("random", "orbit" if self.source == "built" else "published")
        return getattr(registry.load("family", self.kind), "SPLIT_MODES", usual)


class Family(Objects):
    """Objects and their views: meshes rendered here, or views from disk."""

    cameras: CameraParams | None = None  # not for views from disk, which have their own
    render: RenderParams | None = None
    shard_instances: int | None = Field(None, ge=1)  # instances of one class in one file; changes no pixel
    shard_classes: int | None = Field(None, ge=1)  # classes in one file, of kinds that build all classes in one go;
    # none: one; changes no pixel

    @model_validator(mode="after")
    def _check_family(self) -> "Family":
        if self.source == "volumes":
            raise ValueError(f"kind: {self.kind} are volumes, which are not rendered; name them under `voxels`")
        ours = {"cameras": self.source != "views", "render": self.source != "views"}
        self._check_objects(ours | {"shard_instances": self.source == "built"})
        if self.shard_classes is not None and not self.together:
            raise ValueError(f"shard_classes: has no meaning for kind {self.kind}; leave it out")
        return self

    @property
    def views(self) -> int:
        """Views per instance."""
        return self.cameras.views if self.cameras else self.shape_params().views

    @property
    def resolution_px(self) -> int:
        """Side of a view in pixels."""
        return self.render.resolution_px if self.render else self.shape_params().resolution_px


class VoxelSet(Objects):
    """Objects and their volumes: meshes voxelised here, or volumes from disk."""

    voxels: VoxelParams | None = None  # not for volumes from disk, which have their own
    split: SplitParams = SplitParams()

    @model_validator(mode="after")
    def _check_voxels(self) -> "VoxelSet":
        if self.source == "views":
            raise ValueError(f"kind: {self.kind} are views, which have no surface; name meshes or volumes")
        self._check_objects({"voxels": self.source != "volumes"})
        return self

    @property
    def resolution(self) -> int:
        """Side of a volume."""
        return self.voxels.resolution if self.voxels else self.shape_params().resolution


class PretrainingData(Params):
    """Data of a pre-training that differ from the experiment's."""

    family: str  # key of `families`, all of its classes
    input: BackgroundParams  # what the encoder sees
    target: BackgroundParams  # what is reconstructed


class Pretraining(Params):
    """An initialisation: an encoder that classifiers and other pre-trainings start from; a column of the tables."""

    label: str  # as printed: `AE` makes the column `AE+AT`
    method: str  # the module in robust3d.pretraining
    architecture: ArchitectureParams = Field(DEFAULT, validate_default=True)  # the module in robust3d.architectures
    start: str = RANDOM  # or the key of another entry, whose encoder it starts from
    normalisation: Normalisation = "imagenet"  # of the encoder's input
    params: dict[str, Any] = Field(default_factory=dict)  # the method's own
    experiments: Keys | None = None  # those that compare it; all if left out
    data: PretrainingData | None = None  # of its own; left out: objects and backgrounds of each experiment
    set: str | None = None  # key of `sets`: images with classes in place of views, for methods that read them

    @model_validator(mode="after")
    def _check_method(self) -> "Pretraining":
        self.method_params()
        needs_pyramid = getattr(registry.load("pretraining", self.method), "NEEDS_PYRAMID", False)
        if needs_pyramid and not self.architecture.pyramid:
            raise ValueError(f"architecture: {self.method} needs a feature pyramid; {self.architecture.name} has none")
        if getattr(registry.load("pretraining", self.method), "NEEDS_TOKENS", False) and not self.architecture.tokens:
            raise ValueError(f"architecture: {self.method} needs tokens; {self.architecture.name} has none")
        if check_start := getattr(self.method_params(), "check_start", None):
            check_start(self.start == RANDOM)
        if self.set is not None and self.data is not None:
            raise ValueError("set: it takes the place of `data`; leave one of them out")
        if self.set is not None and not getattr(registry.load("pretraining", self.method), "READS_SETS", False):
            raise ValueError(f"set: method {self.method} reads views, not image sets; name a family under `data`")
        if not self.trains and (self.start != RANDOM or self.data is not None):
            key = "data" if self.start == RANDOM else "start"
            raise ValueError(f"{key}: method {self.method} trains nothing; leave it out")
        if not self.trains and self.gives_encoder and self.method_params().weights is None:
            self._check_package()
        return self

    def _check_package(self) -> None:
        """Refuse weights of a package that has none, and another normalisation than theirs."""
        published = self.architecture.weights
        if published is None or not published.package:
            raise ValueError(f"params.weights: missing; no Python package has weights of {self.architecture.name}")
        if self.normalisation != published.normalisation:
            wanted = published.normalisation
            raise ValueError(f"normalisation: {published.name} was trained on images normalised by {wanted!r}; say so")

    def method_params(self) -> Any:
        """The method's own, checked parameters."""
        return parse(registry.load("pretraining", self.method).Params, self.params, "params")

    @property
    def trains(self) -> bool:
        """Whether there is anything to train: a method without `make_task` takes `weights` from disk, if any."""
        return hasattr(registry.load("pretraining", self.method), "make_task")

    @property
    def needs_views(self) -> bool:
        """Whether it is trained on the views of each experiment."""
        return self.trains and self.data is None and self.set is None

    @property
    def gives_encoder(self) -> bool:
        """Whether classifiers start from something: from what is trained, or from `weights`."""
        return self.trains or "weights" in registry.load("pretraining", self.method).Params.model_fields


class Attack(Params):
    """AutoAttack over a grid of budgets."""

    epsilons: Budgets  # ascending, above zero; 8/255 may be written so
    settings: dict[str, Any] = Field(default_factory=dict)  # further keys of robust3d.attacks.params.AutoAttackParams

    @model_validator(mode="after")
    def _check_settings(self) -> "Attack":
        for name, place in {"norm": "key of the attack", "epsilons": "`epsilons` beside `settings`"}.items():
            if name in self.settings:
                raise ValueError(f"settings.{name}: tables go by the {place}; leave it out here")
        parse(AutoAttackParams, self._values("L2", self.epsilons), "settings")  # L2: whose budgets have no upper end
        return self

    def _values(self, norm: str, epsilons: Sequence[Budget]) -> dict[str, Any]:
        return {**self.settings, "norm": norm, "epsilons": list(map(str, epsilons))}

    def params(self, norm: str, epsilons: Sequence[Budget]) -> AutoAttackParams:
        """The attack's parameters for one norm and some budgets.

        Raises:
            ValueError: the budgets do not fit the norm or the settings.
        """
        return parse(AutoAttackParams, self._values(norm, epsilons))


class Probe(Params):
    """A test of classifiers; tables and figures refer to it by its key."""

    probe: str  # the module in robust3d.probes
    params: dict[str, Any] = Field(default_factory=dict)  # the module's own
    sets: dict[str, str] = Field(default_factory=dict)  # keys of `sets`, in place of the experiment's set and shifted

    @model_validator(mode="after")
    def _check_probe(self) -> "Probe":
        self.probe_params()
        names = registry.probe_sets(self.probe) + registry.optional_sets(self.probe, self.sets)
        for name in self.sets:
            if not name.isidentifier():
                raise ValueError(f"sets: {name!r} is not a name of letters, digits and _")
            if name not in names:
                raise ValueError(f"sets.{name}: {self.probe} reads {', '.join(names)}")
        return self

    def probe_params(self) -> Params:
        """The module's own, checked parameters."""
        return parse(registry.load("probe", self.probe).Params, self.params, "params")


@dataclass(frozen=True)
class Asked:
    """A probe with its parameters and sets for the classifiers of one experiment.

    Attributes:
        module: its name in robust3d.probes.
        params: the module's own.
        sets: keys of `sets` by the module's names for them.
    """

    module: str
    params: Params
    sets: dict[str, str]


class Experiment(Params):
    """One comparison: a data set, the pre-trainings to compare, the trainings and the test sets."""

    set: str  # key of `sets`: training, validation and test images
    pretrain_input: BackgroundParams | None = None  # background of the encoder's input during pre-training
    pretrain_target: BackgroundParams | None = None  # background of the reconstruction target
    classifiers: Keys  # keys of `classifiers`: adversarially trained ones, from scratch and from each encoder
    controls: Keys = ()  # keys of `classifiers` trained from scratch only, such as standard training
    # Pre-trainings with one for each training seed, whatever `pretraining_seed` is: all, or keys of `pretraining`.
    pretraining_per_seed: bool | tuple[str, ...] = False
    pretrained_as: str | None = None  # key of `experiments` whose pre-trainings it takes; none: its own
    shifted: str | None = None  # key of `sets` without the correlation of `set`; tested without attack
    epsilons: dict[Literal["Linf", "L2"], Budgets] = Field(default_factory=dict)  # its own budgets, in place of those
    # under `attacks`

    @field_validator("pretraining_per_seed")
    @classmethod
    def _once(cls, asked: bool | tuple[str, ...]) -> bool | tuple[str, ...]:
        return asked if isinstance(asked, bool) else distinct(asked)

    @model_validator(mode="after")
    def _check_controls(self) -> "Experiment":
        if both := [key for key in self.controls if key in self.classifiers]:
            raise ValueError(f"controls: {both[0]} is one of `classifiers` already, whose first column is from scratch")
        return self

    def has_one_per_seed(self, pretraining: str) -> bool:
        """Whether a pre-training has a run for each training seed even if the study asks for one alone."""
        asked = self.pretraining_per_seed
        return asked if isinstance(asked, bool) else pretraining in asked

    @property
    def backgrounds(self) -> tuple[BackgroundParams, BackgroundParams]:
        """Backgrounds of a pre-training on this experiment's objects: of the input and of the target."""
        assert self.pretrain_input is not None and self.pretrain_target is not None, "checked with the study"
        return self.pretrain_input, self.pretrain_target


def read_sets(values: Any) -> Any:
    """Parse each image set with the `Params` of its kind."""
    if not isinstance(values, Mapping):
        return values
    kinds = {
        name: entry.get("kind", "views") if isinstance(entry, Mapping) else "views" for name, entry in values.items()
    }
    return {name: parse(registry.load("set", str(kinds[name])).Params, entry, name) for name, entry in values.items()}


def read_sections(values: Any) -> Any:
    """Parse each paper's section with its own class; a paper whose section is null is left out of the study."""
    if not isinstance(values, Mapping):
        return values
    there = {name: section for name, section in values.items() if section is not None}
    return {name: parse(registry.load("paper", name).Section, section, name) for name, section in there.items()}


def read_classifiers(values: Any) -> Any:
    """Parse each entry with the `Params` of its training."""
    if not isinstance(values, Mapping):
        return values
    found, mistakes = {}, []
    for name, entry in values.items():
        try:
            found[name] = _read_classifier(name, entry)
        except ValueError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return found


def _read_classifier(name: str, entry: Any) -> Any:
    objective = entry.get("objective", ClassifierParams().objective) if isinstance(entry, Mapping) else None
    if not isinstance(objective, str):
        return entry  # its type is wrong, which the model says
    try:
        training = registry.load("training", objective)
    except UserError as error:
        raise ValueError(f"{name}.objective: {error}") from None
    return parse(training.Params, entry, name)
