"""The study's configuration as a typed model, and the one way to load it; checked before anything runs.

Layers, later over earlier: the papers' own files, `config.yaml`, the overlay of the scale, the user's overlays, values
of the command line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_origin

from pydantic import BeforeValidator, Field, model_validator

from robust3d import registry
from robust3d.architectures import DEFAULT, ArchitectureParams
from robust3d.attacks.budgets import NORMS, Budget, check_spelling
from robust3d.attacks.params import AutoAttackParams, Norm
from robust3d.cameras import CameraParams
from robust3d.data.params import BackgroundParams, SplitParams, TextureParams
from robust3d.errors import UserError
from robust3d.params import Params, PathText
from robust3d.parsing import parse
from robust3d.registry import MAIN
from robust3d.rendering.params import RenderParams
from robust3d.study.keys import check_known, in_order
from robust3d.study.like import merge, resolve_likes
from robust3d.study.places import scale_file
from robust3d.study.targets import paper_files
from robust3d.study.yaml_text import check_plain, parse_yaml
from robust3d.training.params import ClassifierParams

_LARGEST_FILE = 1 << 20  # bytes of one configuration file
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
        names = registry.probe_sets(self.probe)
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


def _read_sets(values: Any) -> Any:
    """Each image set by the class of its kind."""
    if not isinstance(values, Mapping):
        return values
    kinds = {name: told.get("kind", "views") if isinstance(told, Mapping) else "views" for name, told in values.items()}
    return {name: parse(registry.load("set", str(kinds[name])).Params, told, name) for name, told in values.items()}


def _read_sections(values: Any) -> Any:
    """Each paper's section by its own class; a paper whose section is null is left out of the study."""
    if not isinstance(values, Mapping):
        return values
    there = {name: section for name, section in values.items() if section is not None}
    return {name: parse(registry.load("paper", name).Section, section, name) for name, section in there.items()}


def _read_classifiers(values: Any) -> Any:
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
    sets: Annotated[dict[str, Any], BeforeValidator(_read_sets)]  # each the `Params` of its kind in robust3d.imagesets
    pretraining: Annotated[dict[str, Pretraining], in_order(PRETRAININGS)]  # the order of columns
    classifiers: Annotated[dict[str, ClassifierParams], BeforeValidator(_read_classifiers)]  # a training each
    attacks: Annotated[dict[Literal["Linf", "L2"], Attack], in_order(NORMS)]
    probes: dict[str, Probe] = Field(default_factory=dict)  # beside the attacks, which are probes too
    experiments: dict[str, Experiment]
    papers: Annotated[dict[str, Params], in_order((MAIN,)), BeforeValidator(_read_sections)]  # a section each

    @model_validator(mode="after")
    def _check_references(self) -> "Study":
        for name in self.sets:
            if (family := self.family_of(name)) is not None:
                check_known(f"sets.{name}.family", family, self.families)
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
            self._check_start(name)
        for key in self.experiments:
            self._check_labels(key)
            self._check_views(key)
            self._check_architectures(key)
        for norm, attack in self.attacks.items():
            attack.params(norm)
        for name, probe in self.probes.items():
            if name in NORMS:
                raise ValueError(f"probes.{name}: this is the name of an attack, see `attacks`; choose another")
            for role, key in probe.sets.items():
                check_known(f"probes.{name}.sets.{role}", key, self.sets)
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

    def _check_views(self, experiment: str) -> None:
        """A pre-training without data of its own sees the views of the experiment."""
        config = self.experiments[experiment]
        image_set = config.set
        for name in self.compared(experiment):
            entry = self.pretraining[name]
            if not entry.trains or entry.data is not None:
                continue
            for key in ("pretrain_input", "pretrain_target"):
                if getattr(config, key) is None and self.family_of(image_set) is not None:
                    raise ValueError(f"experiments.{experiment}.{key}: missing; pretraining.{name} needs it")
            if self.family_of(image_set) is None:
                raise ValueError(
                    f"pretraining.{name}: set {image_set!r} of experiment {experiment!r} is not made of views; give it "
                    "data of its own, or name other experiments"
                )

    def family_of(self, image_set: str) -> str | None:
        """The family whose views form a set; None: it is of another kind."""
        return getattr(self.sets[image_set], "family", None)

    def _check_start(self, key: str) -> None:
        """What a pre-training starts from must be there, of its architecture, and must not start from it."""
        if key == RANDOM:
            raise ValueError(f"pretraining.{key}: the name stands for a random start; choose another")
        chain = [key]
        while (start := self.pretraining[chain[-1]].start) != RANDOM:
            at = f"pretraining.{chain[-1]}.start"
            check_known(at, start, self.pretraining)
            if start in chain:
                raise ValueError(f"{at}: a circle: {' starts from '.join([*chain, start])}")
            own, its = (self.pretraining[name].architecture for name in (chain[-1], start))
            if own != its:
                raise ValueError(f"{at}: the architecture of {start} is {its.text}, not {own.text}; give both the same")
            chain.append(start)

    def _check_architectures(self, experiment: str) -> None:
        """Every classifier of an experiment must be able to start from every encoder."""
        for key in self.experiments[experiment].classifiers:
            for pretraining in self.compared(experiment):
                found = self.architecture(key, pretraining)
                batchnorm = self.classifiers[key].batchnorm
                if batchnorm != "keep" and not found.batch_norms:
                    raise ValueError(
                        f"classifiers.{key}.batchnorm: {batchnorm}, but {found.name}, the architecture of "
                        f"pretraining.{pretraining}, has no batch norms; leave it at keep"
                    )

    def architecture(self, classifier: str, pretraining: str | None) -> ArchitectureParams:
        """Of a classifier that starts from a pre-training, or from scratch.

        Raises:
            ValueError: the two name different ones.
        """
        own = self.classifiers[classifier].architecture
        if pretraining is None:
            return own or ArchitectureParams.model_validate(DEFAULT)
        encoder = self.pretraining[pretraining].architecture
        if own is not None and own != encoder:
            raise ValueError(
                f"classifiers.{classifier}.architecture: {own.text}, but pretraining.{pretraining}.architecture is "
                f"{encoder.text}; give both the same, let them take part in different experiments, or set the "
                "classifier's to null, which stands for each encoder's"
            )
        return encoder

    def used_pretrainings(self) -> list[str]:
        """Keys of those that take part in an experiment, and of what these start from."""
        used = {key for experiment in self.experiments for key in self.compared(experiment)}
        for key in list(used):
            while (key := self.pretraining[key].start) != RANDOM:
                used.add(key)
        return [key for key in self.pretraining if key in used]

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

    def probe(self, key: str, experiment: Experiment) -> Asked:
        """The probe under a key of `probes` or `attacks`, as an experiment puts it.

        Raises:
            UserError: no such key, or the experiment lacks a set that the probe does not name either.
        """
        params: Params
        if key in self.attacks:
            module, params, given = "autoattack", self.attack_params(experiment, cast(Norm, key)), {}
        elif key in self.probes:
            module, params, given = self.probes[key].probe, self.probes[key].probe_params(), self.probes[key].sets
        else:
            known = ", ".join([*self.attacks, *self.probes])
            raise UserError(f"there is no probe {key!r} under `probes` or `attacks`; there are {known}")
        if "seed" in type(params).model_fields and "seed" not in params.model_fields_set:
            params = params.model_copy(update={"seed": self.seed})
        sets: dict[str, str] = {}
        for name in registry.probe_sets(module):
            image_set = given.get(name) or getattr(experiment, name, None)
            if image_set is None:
                raise UserError(
                    f"probes.{key}: {module} reads a set called `{name}`; name one under probes.{key}.sets, or as "
                    f"`{name}` of the experiment on set {experiment.set!r}"
                )
            sets[name] = image_set
        return Asked(module, params, sets)


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
