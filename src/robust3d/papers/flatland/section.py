"""The paper's section of the configuration: initialisations, what they are transferred to, and what they are asked."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from robust3d.params import Params, PathText, distinct
from robust3d.study.keys import Keys, check_known, check_labels
from robust3d.training.precision import Precision

if TYPE_CHECKING:
    from robust3d.study.config import Study


class Start(Params):
    """An initialisation; a row of the tables."""

    label: str
    pretraining: str | None  # key of `pretraining`; null: random weights
    # What its images are: 2D; 3D; flat: of 3D objects with pose or light removed; fewer: classes or images of another
    # start; mixed; none: no synthetic images.
    images: Literal["2D", "3D", "flat", "fewer", "mixed", "none"]
    flat_of: str | None = None  # flat: the label of the start that it is the ablation of
    part_of: str | None = None  # fewer: the label of the start that it has a part of
    than: str | None = None  # label of the start from random weights that it is compared with; none: `random`


class Target(Params):
    """A set that is transferred to."""

    label: str
    set: str  # key of `sets`


class Rdms(Params):
    """Recorded dissimilarities, compared with those of models."""

    path: PathText  # folder of the files
    subjects: str  # file of the subjects' RDMs (.mat, .npz, .npy, .csv)
    region: str  # beginning of their names, such as hIT; of one subject all are averaged
    models: str  # file of other RDMs, a row each


class Section(Params):
    """What the tables and figures show."""

    experiment: str  # key of `experiments`: its set is what frozen features are asked about
    starts: Annotated[tuple[Start, ...], Field(min_length=1)]
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    trainings: dict[str, str]  # keys of `classifiers`, with labels
    # Of each class; null: all.
    labels: Annotated[tuple[Annotated[int, Field(ge=1)] | None, ...], Field(min_length=1), AfterValidator(distinct)]
    precision: Precision = "area"  # of targets whose pictures show several classes each
    frozen: str  # key of `classifiers`, of objective linear: its features are asked by the two probes
    brain: str  # key of `probes`, of kind brain
    features: str  # key of `probes`, of kind features
    changes: dict[str, str]  # labels of its further sets: the same pictures but for one thing
    early: Keys = ()  # regions for which the paper expects 2D to be better
    late: Keys = ()  # regions for which the paper expects 3D to be better
    random: str  # label of the start from random weights that others are compared with, if they name none by `than`
    positive: str | None = None  # label of the start that has to be better than random weights, if anything is seen
    table1: dict[str, str]  # labels of data sets, each with a key of `sets`
    figures: dict[str, str]  # figure1, figure2 and figure3: keys of `sets`
    rdms: Rdms | None = None  # for rsa, in addition

    @property
    def pretrainings(self) -> tuple[str, ...]:
        """Keys of `pretraining` that it uses, in an experiment or not."""
        return tuple(start.pretraining for start in self.starts if start.pretraining is not None)

    def check(self, study: "Study") -> None:
        """Whether all that it names is defined.

        Raises:
            ValueError: beginning with the key's path under the section.
        """
        check_known("experiment", self.experiment, study.experiments)
        for key in (*self.trainings, self.frozen):
            check_known("trainings" if key in self.trainings else "frozen", key, study.classifiers)
        if (objective := study.classifiers[self.frozen].objective) != "linear":
            raise ValueError(f"frozen: {self.frozen} is trained by {objective}; features are frozen in linear")
        for name, kind in (("brain", "brain"), ("features", "features")):
            key = getattr(self, name)
            check_known(name, key, study.probes)
            if study.probes[key].probe != kind:
                raise ValueError(f"{name}: {key} is a probe of kind {study.probes[key].probe}; name one of kind {kind}")
        for place in self.changes.values():
            check_known("changes", place, study.probes[self.features].sets)
        sets: list[str] = []
        for number, target in enumerate(self.targets):
            check_known(f"targets.{number}.set", target.set, study.sets)
            if target.set in sets:
                raise ValueError(
                    f"targets.{number}.set: {target.set} is a target already; its images would count twice"
                )
            sets.append(target.set)
        check_labels({f"targets.{number}.label": target.label for number, target in enumerate(self.targets)})
        check_labels({f"trainings.{key}": label for key, label in self.trainings.items()})
        for name in ("table1", "figures"):
            for label, key in getattr(self, name).items():
                check_known(f"{name}.{label}", key, study.sets)
        if missing := {"figure1", "figure2", "figure3"} - self.figures.keys():
            raise ValueError(f"figures.{min(missing)}: missing; name a key of `sets`")
        starts = {start.label: start for start in self.starts}
        if self.positive is not None:
            check_known("positive", self.positive, starts)
        places = {"random": self.random} | {
            f"starts.{n}.than": one.than for n, one in enumerate(self.starts) if one.than
        }
        for place, label in places.items():
            check_known(place, label, starts)
            trained = starts[label].pretraining
            if trained in study.pretraining and study.pretraining[trained].gives_encoder:
                raise ValueError(f"{place}: {label} starts from pretraining.{trained}; name a start of random weights")
        self._check_starts(study)

    def _check_starts(self, study: "Study") -> None:
        labels = [start.label for start in self.starts]
        check_labels({f"starts.{number}.label": label for number, label in enumerate(labels)})
        for number, start in enumerate(self.starts):
            at = f"starts.{number}"
            for name, images in (("flat_of", "flat"), ("part_of", "fewer")):
                whole = getattr(start, name)
                if whole is not None and whole not in labels:
                    raise ValueError(f"{at}.{name}: no start is called {whole!r}")
                if (start.images == images) != (whole is not None):
                    raise ValueError(f"{at}.{name}: belongs to images: {images}, and says which start they are made of")
            if start.pretraining is not None:
                check_known(f"{at}.pretraining", start.pretraining, study.pretraining)
            for key in (*self.trainings, self.frozen):
                try:
                    study.architecture(key, start.pretraining)
                except ValueError as error:
                    raise ValueError(f"{at}.pretraining: {error}") from None
