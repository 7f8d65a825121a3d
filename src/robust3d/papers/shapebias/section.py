"""The paper's section of the configuration: which classifiers are compared, and by which probes."""

from typing import TYPE_CHECKING

from pydantic import Field

from robust3d.params import Params
from robust3d.study.keys import Keys, check_known, check_labels

if TYPE_CHECKING:
    from robust3d.study.config import Study


PROBES = ("distortions", "corruptions", "smoothness", "dissection", "cue_conflict", "ablation")


class Model(Params):
    """One classifier; a row of Table 3, a column of Table A1."""

    label: str
    classifier: str  # key of `classifiers`
    pretraining: str | None = None  # key of `pretraining`; none: from scratch
    group: str = ""  # models of one group are compared on the images that all of them get right (section 2)
    printed: str | None = None  # the network of the paper whose printed numbers stand beside


class Initialisations(Params):
    """Adversarially trained classifiers, from scratch and from each pre-training, and what they are asked."""

    experiment: str  # key of `experiments`, which trains them
    distortions: str  # keys of `probes`, on images of that experiment's classes
    corruptions: str
    smoothness: str


class Section(Params):
    """What the tables show."""

    experiment: str  # key of `experiments`, which trains the classifiers
    models: tuple[Model, ...] = Field(min_length=1)  # the first of a group is the one that others are compared with
    distortions: str = "distortions"  # key of `probes`, for Tables 1 and 3 and Figure 3
    corruptions: str = "corruptions"  # key of `probes`, for Table A1 and the table of corruption errors
    smoothness: str = "smoothness"  # key of `probes`, for Table 4 and Figure 5
    dissection: str = "dissection"  # key of `probes`, for Figures 6, 8, A3 and A12
    cue_conflict: str = "cue_conflict"  # key of `probes`, for Table 2
    ablation: str = "ablation"  # key of `probes`, for Figure 8
    initialisations: Initialisations | None = None  # for the table of that name
    # Groups of models; of each the first two stand side by side.
    shown: str = ""  # of Figures 4, 5, 8 and A3
    dissected: Keys = ("",)  # of Figures 6 and A12

    @property
    def pretrainings(self) -> tuple[str, ...]:
        """Keys of `pretraining` that it uses, in an experiment or not."""
        return tuple(model.pretraining for model in self.models if model.pretraining is not None)

    def check(self, study: "Study") -> None:
        """Whether all that it names is defined.

        Raises:
            ValueError: beginning with the key's path under the section.
        """
        check_known("experiment", self.experiment, study.experiments)
        _check_probes(study, {kind: (kind, getattr(self, kind)) for kind in PROBES})
        if (asked := self.initialisations) is not None:
            check_known("initialisations.experiment", asked.experiment, study.experiments)
            kinds = ("distortions", "corruptions", "smoothness")
            _check_probes(study, {f"initialisations.{kind}": (kind, getattr(asked, kind)) for kind in kinds})
        check_labels({f"models.{number}.label": model.label for number, model in enumerate(self.models)})
        for number, model in enumerate(self.models):
            check_known(f"models.{number}.classifier", model.classifier, study.classifiers)
            if model.pretraining is not None:
                check_known(f"models.{number}.pretraining", model.pretraining, study.pretraining)
            try:
                study.architecture(model.classifier, model.pretraining)
            except ValueError as error:
                raise ValueError(f"models.{number}: {error}") from None
        for key, groups in {"shown": (self.shown,), "dissected": self.dissected}.items():
            for group in groups:
                if len([model for model in self.models if model.group == group]) < 2:
                    raise ValueError(f"{key}: {group!r} is not a group of two models or more")

    def pairs(self, *groups: str) -> tuple[Model, ...]:
        """The first two models of each of some groups."""
        return tuple(model for group in groups for model in [one for one in self.models if one.group == group][:2])


def _check_probes(study: "Study", named: dict[str, tuple[str, str]]) -> None:
    """Whether keys name probes of their kinds; `named` has the kind and the name by the key's path."""
    for path, (kind, key) in named.items():
        check_known(path, key, study.probes)
        if study.probes[key].probe != kind:
            raise ValueError(f"{path}: {key} is a probe of kind {study.probes[key].probe}; name one of kind {kind}")
