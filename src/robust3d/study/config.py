"""The study's configuration as a typed model, checked as a whole before anything runs."""

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from robust3d import registry
from robust3d.architectures import DEFAULT, ArchitectureParams
from robust3d.attacks.budgets import NORMS, Budget, check_spelling
from robust3d.attacks.params import AutoAttackParams, Norm
from robust3d.data.params import TextureParams
from robust3d.errors import UserError
from robust3d.params import Params, PathText, distinct
from robust3d.registry import MAIN
from robust3d.study.entries import (
    PRETRAININGS,
    RANDOM,
    Asked,
    Attack,
    Experiment,
    Family,
    Pretraining,
    Probe,
    VoxelSet,
    read_classifiers,
    read_sections,
    read_sets,
)
from robust3d.study.keys import check_known, in_order
from robust3d.training.params import ClassifierParams


class Study(Params):
    """The whole configuration."""

    study: str  # name of this scale; part of every cell
    store: PathText | None = (
        None  # folder of finished jobs shared with other checkouts or users; none: this project's own
    )
    seed: int = Field(ge=0)  # of all random draws: shapes, cameras, splits, backgrounds, attacks
    numerics: Literal["native", "portable"] = "native"  # portable: the same bytes on every AVX2 processor, slower
    # One model each; cells hold their mean. Equal ones would be one run that counts as several.
    training_seeds: Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(distinct)]
    pretraining_seed: int | None = None  # seed of one pre-training for all training seeds; none: one per seed
    textures: TextureParams
    families: dict[str, Family]
    voxels: dict[str, VoxelSet] = Field(default_factory=dict)  # objects as volumes; no name is also a family's
    sets: Annotated[dict[str, Any], BeforeValidator(read_sets)]  # each the `Params` of its kind in robust3d.imagesets
    pretraining: Annotated[dict[str, Pretraining], in_order(PRETRAININGS)]  # the order of columns
    classifiers: Annotated[dict[str, ClassifierParams], BeforeValidator(read_classifiers)]  # a training each
    attacks: Annotated[dict[Literal["Linf", "L2"], Attack], in_order(NORMS)]
    probes: dict[str, Probe] = Field(default_factory=dict)  # in addition to `attacks`, which are probes too
    experiments: dict[str, Experiment]
    papers: Annotated[dict[str, Params], in_order((MAIN,)), BeforeValidator(read_sections)]  # a section each

    @model_validator(mode="after")
    def _check_references(self) -> "Study":
        for name in self.voxels:
            if name in self.families:
                raise ValueError(f"voxels.{name}: this is the name of a family; choose another")
        for name in self.sets:
            if (family := self.family_of(name)) is not None:
                check_known(f"sets.{name}.family", family, self.families)
            for part in self.parts_of(name):
                check_known(f"sets.{name}.parts", part, self.sets)
        for name in self.sets:
            self._check_parts((name,))
        for name, experiment in self.experiments.items():
            at = f"experiments.{name}"
            check_known(f"{at}.set", experiment.set, self.sets)
            for key in experiment.classifiers + experiment.controls:
                check_known(f"{at}.classifiers", key, self.classifiers)
            if not isinstance(experiment.pretraining_per_seed, bool):
                for key in experiment.pretraining_per_seed:
                    check_known(f"{at}.pretraining_per_seed", key, self.pretraining)
            if experiment.shifted is not None:
                check_known(f"{at}.shifted", experiment.shifted, self.sets)
            if experiment.pretrained_as is not None:
                check_known(f"{at}.pretrained_as", experiment.pretrained_as, self.experiments)
                if self.experiments[experiment.pretrained_as].pretrained_as is not None:
                    raise ValueError(f"{at}.pretrained_as: {experiment.pretrained_as} has none of its own either")
        for name, entry in self.pretraining.items():
            for key in entry.experiments or ():
                check_known(f"pretraining.{name}.experiments", key, self.experiments)
            if entry.set is not None:
                check_known(f"pretraining.{name}.set", entry.set, self.sets)
                has_depth = self.family_of(entry.set) is not None or getattr(self.sets[entry.set], "depth", None)
                if getattr(registry.load("pretraining", entry.method), "NEEDS_DEPTH", False) and not has_depth:
                    raise ValueError(
                        f"pretraining.{name}.set: {entry.method} learns from depth, and the pictures of {entry.set} "
                        f"have none; name a folder of maps by sets.{entry.set}.depth"
                    )
            if entry.data is not None:
                at = f"pretraining.{name}.data"
                check_known(f"{at}.family", entry.data.family, self.families)
                if self.families[entry.data.family].split is None:
                    raise ValueError(f"{at}.family: {entry.data.family!r} has no split, so nothing is trained on it")
                parts = self.families[entry.data.family].split.parts  # type: ignore[union-attr]
                if parts is not None and not {"train", "val"} <= set(parts):
                    raise ValueError(f"{at}.family: of {entry.data.family!r} only {', '.join(parts)} is rendered")
            self._check_start(name)
        for key in self.experiments:
            self._check_trained(key)
            self._check_labels(key)
            self._check_views(key)
            self._check_architectures(key)
        for name, probe in self.probes.items():
            if name in NORMS:
                raise ValueError(f"probes.{name}: this is the name of an attack, see `attacks`; choose another")
            for role, key in probe.sets.items():
                check_known(f"probes.{name}.sets.{role}", key, self.sets)
        for name, experiment in self.experiments.items():
            for norm in experiment.epsilons:
                check_known(f"experiments.{name}.epsilons", norm, self.attacks)
        for norm, attack in self.attacks.items():
            grids = {f"attacks.{norm}.epsilons": attack.epsilons}
            grids |= {
                f"experiments.{key}.epsilons.{norm}": one.epsilons[norm]
                for key, one in self.experiments.items()
                if norm in one.epsilons
            }
            for place, grid in grids.items():
                try:
                    attack.params(norm, grid)
                except ValueError as error:
                    raise ValueError(f"{place}: {error}") from None
            check_spelling(grids)  # one name per budget: a table has rows of several experiments
        for name, section in self.papers.items():
            try:
                section.check(self)  # type: ignore[attr-defined]
            except ValueError as error:
                raise ValueError(f"papers.{name}.{error}") from None
        return self

    def _check_trained(self, experiment: str) -> None:
        """Refuse two classifiers against one norm: a table has a row, or a column, of each pre-training and norm."""
        of_norm: dict[str, str] = {}
        for key in self.experiments[experiment].classifiers:
            norm = self.classifiers[key].trained_against
            if norm is not None and of_norm.setdefault(norm, key) != key:
                raise ValueError(
                    f"experiments.{experiment}.classifiers: {of_norm[norm]} and {key} are both trained against {norm}; "
                    "let one of them take part in another experiment"
                )

    def _check_labels(self, experiment: str) -> None:
        """Refuse two columns of the same name."""
        bearers: dict[str, str] = {}
        for name in self.compared(experiment):
            label = self.pretraining[name].label
            if bearers.setdefault(label, name) != name:
                raise ValueError(f"pretraining.{name}.label: {label!r} is already the label of {bearers[label]}")

    def _check_views(self, experiment: str) -> None:
        """A pre-training without its own data needs an experiment on views."""
        config = self.pretraining_experiment(self.experiments[experiment])
        image_set = config.set
        for name in self.compared(experiment):
            entry = self.pretraining[name]
            if not entry.needs_views:
                continue
            for key in ("pretrain_input", "pretrain_target"):
                if getattr(config, key) is None and self.family_of(image_set) is not None:
                    raise ValueError(f"experiments.{experiment}.{key}: missing; pretraining.{name} needs it")
            if self.family_of(image_set) is None:
                raise ValueError(
                    f"pretraining.{name}: set {image_set!r} of experiment {experiment!r} is not made of views; give it "
                    "data of its own, or name other experiments"
                )

    def pretraining_experiment(self, experiment: Experiment) -> Experiment:
        """The experiment whose objects and backgrounds an experiment's pre-trainings see."""
        shared = experiment.pretrained_as
        return experiment if shared is None else self.experiments[shared]

    def family_of(self, image_set: str) -> str | None:
        """The family of a set of views; None: a set of another kind."""
        return getattr(self.sets[image_set], "family", None)

    def _check_parts(self, chain: tuple[str, ...]) -> None:
        """Refuse sets that are made of themselves."""
        for part in self.parts_of(chain[-1]):
            if part in chain:
                raise ValueError(f"sets.{part}: a circle: {' is made of '.join([*chain, part])}")
            self._check_parts((*chain, part))

    def parts_of(self, image_set: str) -> tuple[str, ...]:
        """The sets that a set is made of, as a mixture is; none for most kinds."""
        return tuple(getattr(self.sets[image_set], "parts", ()))

    def _check_start(self, key: str) -> None:
        """Check a pre-training's start: it exists, has the same architecture, and does not start from this one."""
        if key == RANDOM:
            raise ValueError(f"pretraining.{key}: the name stands for a random start; choose another")
        chain = [key]
        while (start := self.pretraining[chain[-1]].start) != RANDOM:
            at = f"pretraining.{chain[-1]}.start"
            check_known(at, start, self.pretraining)
            if not self.pretraining[start].gives_encoder:
                raise ValueError(f"{at}: {start} makes no encoder; {RANDOM} is a random start")
            if start in chain:
                raise ValueError(f"{at}: a circle: {' starts from '.join([*chain, start])}")
            own, its = (self.pretraining[name].architecture for name in (chain[-1], start))
            if own != its:
                raise ValueError(f"{at}: the architecture of {start} is {its.text}, not {own.text}; give both the same")
            chain.append(start)

    def _check_architectures(self, experiment: str) -> None:
        """Check that every classifier of an experiment can start from every encoder."""
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
        """Architecture of a classifier that starts from a pre-training, or from scratch.

        Raises:
            ValueError: classifier and pre-training name different ones.
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
        """Keys of the pre-trainings of all experiments and of papers' sections, and of their starts."""
        used = {key for experiment in self.experiments for key in self.compared(experiment)}
        used |= {key for section in self.papers.values() for key in getattr(section, "pretrainings", ())}
        for key in list(used):
            while (key := self.pretraining[key].start) != RANDOM:
                used.add(key)
        return [key for key in self.pretraining if key in used]

    def compared(self, experiment: str) -> list[str]:
        """Keys of an experiment's pre-trainings, in the order of their columns."""
        entries = self.pretraining.items()
        return [key for key, entry in entries if entry.experiments is None or experiment in entry.experiments]

    def epsilons(self, experiment: Experiment, norm: Norm) -> tuple[Budget, ...]:
        """The budgets of an experiment, ascending, without 0."""
        return experiment.epsilons.get(norm, self.attacks[norm].epsilons)

    def attack_params(self, experiment: Experiment, norm: Norm) -> AutoAttackParams:
        """Parameters of the attacks on an experiment's classifiers."""
        return self.attacks[norm].params(norm, self.epsilons(experiment, norm))

    def probe(self, key: str, experiment: Experiment) -> Asked:
        """The probe of a key of `probes` or `attacks`, with parameters and sets for an experiment.

        Raises:
            UserError: no such key, or neither the probe nor the experiment names a set that the probe reads.
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
        sets |= {name: given[name] for name in registry.optional_sets(module, given) if name in given}
        return Asked(module, params, sets)
