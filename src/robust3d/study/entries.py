"""The entries of the configuration, each a typed model: families, sets, pre-trainings, probes, experiments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from robust3d import registry
from robust3d.architectures import DEFAULT, ArchitectureParams
from robust3d.attacks.budgets import Budget
from robust3d.attacks.params import AutoAttackParams
from robust3d.cameras import CameraParams
from robust3d.data.params import BackgroundParams, SplitParams
from robust3d.errors import UserError
from robust3d.params import Params
from robust3d.parsing import parse
from robust3d.rendering.params import RenderParams
from robust3d.training.params import ClassifierParams

RANDOM = "random"  # a start without another encoder
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


class PretrainingData(Params):
    """What a pre-training sees where it is not the objects of the experiment."""

    family: str  # key of `families`, all of its classes
    input: BackgroundParams  # what the encoder sees
    target: BackgroundParams  # what is reconstructed


class Pretraining(Params):
    """One way to make an encoder, from which classifiers and other pre-trainings start; a column of the tables."""

    label: str  # as printed: `AE` makes the column `AE+AT`
    method: str  # the module in robust3d.pretraining
    architecture: ArchitectureParams = Field(DEFAULT, validate_default=True)  # the module in robust3d.architectures
    start: str = RANDOM  # or the key of another entry, whose encoder is trained further
    normalisation: Literal["imagenet", "half"] = "imagenet"  # of the encoder's input
    params: dict[str, Any] = Field(default_factory=dict)  # the method's own
    experiments: tuple[str, ...] | None = None  # where it takes part; all of them if left out
    data: PretrainingData | None = None  # of its own; left out: objects and backgrounds of each experiment

    @model_validator(mode="after")
    def _check_method(self) -> "Pretraining":
        self.method_params()
        needs_pyramid = getattr(registry.load("pretraining", self.method), "NEEDS_PYRAMID", False)
        if needs_pyramid and not self.architecture.pyramid:
            raise ValueError(f"architecture: {self.method} needs a feature pyramid; {self.architecture.name} has none")
        if not self.trains and (self.start != RANDOM or self.data is not None):
            key = "data" if self.start == RANDOM else "start"
            raise ValueError(f"{key}: method {self.method} trains nothing; leave it out")
        return self

    def method_params(self) -> Any:
        """The method's own, checked parameters."""
        return parse(registry.load("pretraining", self.method).Params, self.params, "params")

    @property
    def trains(self) -> bool:
        """Whether there is anything to train: a method without `make_task` takes `weights` from disk."""
        return hasattr(registry.load("pretraining", self.method), "make_task")


class Attack(Params):
    """AutoAttack over a grid of budgets."""

    epsilons: tuple[Budget, ...] = Field(min_length=1)  # ascending, above zero; 8/255 may be written so
    settings: dict[str, Any] = Field(default_factory=dict)  # further keys of robust3d.attacks.params.AutoAttackParams

    def params(self, norm: str, epsilons: Sequence[Budget] | None = None) -> AutoAttackParams:
        """The attack's parameters for one norm, over other budgets if `epsilons` names some."""
        grid = [str(budget) for budget in (self.epsilons if epsilons is None else epsilons)]
        return parse(AutoAttackParams, {"norm": norm, "epsilons": grid, **self.settings})


class Probe(Params):
    """What is asked of classifiers; a table or figure names it by its key."""

    probe: str  # the module in robust3d.probes
    params: dict[str, Any] = Field(default_factory=dict)  # the module's own
    sets: dict[str, str] = Field(default_factory=dict)  # keys of `sets`, in place of the experiment's set and shifted

    @model_validator(mode="after")
    def _check_probe(self) -> "Probe":
        self.probe_params()
        names = registry.probe_sets(self.probe) + registry.optional_sets(self.probe)
        for name in self.sets:
            if name not in names:
                raise ValueError(f"sets.{name}: {self.probe} reads {', '.join(names)}")
        return self

    def probe_params(self) -> Params:
        """The module's own, checked parameters."""
        return parse(registry.load("probe", self.probe).Params, self.params, "params")


@dataclass(frozen=True)
class Asked:
    """A probe as it is put to the classifiers of one experiment.

    Attributes:
        module: its name in robust3d.probes.
        params: the module's own.
        sets: keys of `sets` by the module's names for them.
    """

    module: str
    params: Params
    sets: dict[str, str]


class Experiment(Params):
    """One train-and-test comparison: a data set, the pre-trainings to compare, and how they are judged."""

    set: str  # key of `sets`: training, validation and test images
    pretrain_input: BackgroundParams | None = None  # what the encoder sees during pre-training on these objects
    pretrain_target: BackgroundParams | None = None  # what is reconstructed
    classifiers: tuple[
        str, ...
    ]  # keys of `classifiers`: adversarially trained ones, from scratch and from each encoder
    controls: tuple[str, ...] = ()  # keys of `classifiers` trained from scratch only, such as standard training
    shifted: str | None = None  # key of `sets` that breaks a correlation of `set`; tested without attack
    epsilons: dict[Literal["Linf", "L2"], tuple[Budget, ...]] = Field(default_factory=dict)  # its own budgets, in
    # place of those under `attacks`

    @property
    def backgrounds(self) -> tuple[BackgroundParams, BackgroundParams]:
        """What a pre-training on its objects sees and reconstructs."""
        assert self.pretrain_input is not None and self.pretrain_target is not None, "checked with the study"
        return self.pretrain_input, self.pretrain_target


def read_sets(values: Any) -> Any:
    """Each image set by the class of its kind."""
    if not isinstance(values, Mapping):
        return values
    kinds = {name: told.get("kind", "views") if isinstance(told, Mapping) else "views" for name, told in values.items()}
    return {name: parse(registry.load("set", str(kinds[name])).Params, told, name) for name, told in values.items()}


def read_sections(values: Any) -> Any:
    """Each paper's section by its own class; a paper whose section is null is left out of the study."""
    if not isinstance(values, Mapping):
        return values
    there = {name: section for name, section in values.items() if section is not None}
    return {name: parse(registry.load("paper", name).Section, section, name) for name, section in there.items()}


def read_classifiers(values: Any) -> Any:
    """Each entry by the class of its training."""
    if not isinstance(values, Mapping):
        return values
    found, mistakes = {}, []
    for name, told in values.items():
        try:
            found[name] = _read_classifier(name, told)
        except ValueError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return found


def _read_classifier(name: str, told: Any) -> Any:
    objective = told.get("objective", ClassifierParams().objective) if isinstance(told, Mapping) else None
    if not isinstance(objective, str):
        return told  # its type is wrong, which the model says
    try:
        training = registry.load("training", objective)
    except UserError as error:
        raise ValueError(f"{name}.objective: {error}") from None
    return parse(training.Params, told, name)
