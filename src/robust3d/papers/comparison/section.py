"""The comparison's section of the configuration: which initialisations, trained how, and asked what."""

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from robust3d.params import Params, distinct
from robust3d.registry import probe_sets
from robust3d.study.keys import Keys, check_known, check_labels, in_order

if TYPE_CHECKING:
    from robust3d.study.config import Study

# The orders of rows and of columns; others follow by name.
TRAININGS = ("standard", "Linf", "L2")
PROBES = ("clean", "linf", "l2", "shift", "cues", "corruptions")
TRANSFERRED = ("few", "linear")
MEASURED = ("robustness", "accuracy", "shift", "corruptions", "cue_conflict")  # kinds of probes, beside attacks


class Training(Params):
    """What follows each initialisation: a row of each."""

    label: str
    # By key of `experiments`, keys of `classifiers`: the first is trained that has the initialisation's architecture.
    classifiers: dict[str, Annotated[Keys, Field(min_length=1)]]
    starts: Keys | None = None  # keys of `pretraining` that are trained at this scale; null: all


class Probed(Params):
    """A probe of trained classifiers: a column, of AutoAttack one for each budget and one for the area."""

    label: str
    probe: str  # key of `attacks` or `probes`
    images: str = "set"  # of a probe of several sets: which of them
    experiment: str | None = None  # key of `experiments`, which trains the classifiers; null: the section's
    trainings: Keys | None = None  # keys of `trainings` that are asked at this scale; null: all


class Transfer(Params):
    """Transfer of the initialisation itself to other images, with few labels to all."""

    experiment: str  # key of `experiments`: says whether each seed has a pre-training of its own
    targets: Annotated[Keys, Field(min_length=1)]  # keys of `sets`
    trainings: Annotated[Keys, Field(min_length=1)]  # keys of `classifiers`
    # Of a class; null: all.
    labels: Annotated[tuple[Annotated[int, Field(ge=1)] | None, ...], Field(min_length=1), AfterValidator(distinct)]


class Transferred(Params):
    """A column: one training, with one number of labels, over all targets."""

    label: str
    training: str  # one of the transfer's `trainings`
    labels: int | None  # one of its `labels`


class Brain(Params):
    """Columns: how well frozen features predict the responses of regions."""

    experiment: str  # key of `experiments`
    classifier: str  # key of `classifiers`, of objective linear
    probe: str  # key of `probes`, of kind brain


class Section(Params):
    """What the table and the picture show."""

    experiment: str  # key of `experiments`
    left_out: dict[str, str | None]  # keys of `pretraining` without a row and why; null, and all others, have one
    trainings: Annotated[dict[str, Training], Field(min_length=1), in_order(TRAININGS)]
    groups: Annotated[
        dict[str, Keys], in_order(("2D", "3D"))
    ]  # of the picture: methods of pre-training by what they learn from views
    probes: Annotated[dict[str, Probed], in_order(PROBES)]  # columns by names that are not shown
    transfer: Transfer
    transferred: Annotated[dict[str, Transferred], in_order(TRANSFERRED)]  # likewise
    brain: Brain

    def check(self, study: "Study") -> None:
        """Whether all that it names is defined, but pre-trainings: an overlay may leave out some that are named here.

        Raises:
            ValueError: beginning with the key's path under the section.
        """
        check_known("experiment", self.experiment, study.experiments)
        for name, training in self.trainings.items():
            check_known(f"trainings.{name}.classifiers", self.experiment, training.classifiers)
            for experiment, keys in training.classifiers.items():
                check_known(f"trainings.{name}.classifiers", experiment, study.experiments)
                for key in keys:
                    check_known(f"trainings.{name}.classifiers.{experiment}", key, study.classifiers)
        check_labels({f"trainings.{name}.label": one.label for name, one in self.trainings.items()})
        for name, asked in self.probes.items():
            self._check_probe(study, f"probes.{name}", asked)
        columns = {f"probes.{name}.label": one.label for name, one in self.probes.items()}
        check_labels(columns | {f"transferred.{name}.label": one.label for name, one in self.transferred.items()})
        check_known("transfer.experiment", self.transfer.experiment, study.experiments)
        for key in self.transfer.targets:
            check_known("transfer.targets", key, study.sets)
        for key in self.transfer.trainings:
            check_known("transfer.trainings", key, study.classifiers)
        for place, column in self.transferred.items():
            for name, value, known in (
                ("training", column.training, self.transfer.trainings),
                ("labels", column.labels, self.transfer.labels),
            ):
                if value not in known:
                    shown = ", ".join(map(str, known))
                    raise ValueError(f"transferred.{place}.{name}: {value} is not one of transfer.{name}: {shown}")
        check_known("brain.experiment", self.brain.experiment, study.experiments)
        check_known("brain.classifier", self.brain.classifier, study.classifiers)
        check_known("brain.probe", self.brain.probe, study.probes)

    def _check_probe(self, study: "Study", at: str, asked: Probed) -> None:
        check_known(f"{at}.probe", asked.probe, {**study.attacks, **study.probes})
        images: tuple[str, ...] = ("set",)
        if asked.probe in study.probes:
            entry = study.probes[asked.probe]
            if entry.probe not in MEASURED:
                raise ValueError(
                    f"{at}.probe: {asked.probe} is a probe of kind {entry.probe}; the table reads "
                    f"{', '.join(MEASURED)}, and keys of `attacks`"
                )
            images = (*probe_sets(entry.probe), *entry.sets)
        check_known(f"{at}.images", asked.images, dict.fromkeys(images))
        if asked.experiment is not None:
            check_known(f"{at}.experiment", asked.experiment, study.experiments)
        for key in asked.trainings or ():
            check_known(f"{at}.trainings", key, self.trainings)
