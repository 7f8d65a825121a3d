"""The paper's section of the configuration: backbones before and after, and what they are asked."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from robust3d.params import Params
from robust3d.study.keys import check_known, check_labels

if TYPE_CHECKING:
    from robust3d.study.config import Study


class Row(Params):
    """A frozen backbone; a row of the tables."""

    label: str
    pretraining: str | None  # key of `pretraining`; null: random weights
    against: str | None = None  # label of the row that it is compared with
    printed: str | None = None  # the row of the paper whose printed numbers stand beside


class Column(Params):
    """A set on which the linear classifiers are tested."""

    label: str
    set: str  # a name under `sets` of the probe
    printed: str | None = None  # the column of the paper


class OtherColumn(Params):
    """Other images, with linear classifiers of their own classes."""

    label: str
    experiment: str  # key of `experiments`
    probe: str  # key of `probes`, of kind robustness
    set: str = "set"  # a name under `sets` of that probe
    printed: str | None = None  # the column of the paper


class DepthColumn(Params):
    """A head for depth."""

    label: str
    probe: str  # key of `probes`, of kind depth
    printed: str | None = None  # the column of the paper


class ShapeBias(Params):
    """Decisions between shape and texture, by classifiers of images that have both."""

    experiment: str  # key of `experiments`, whose set shows shape and texture
    probe: str  # key of `probes`, of kind cue_conflict


class Amount(Params):
    """A point of Figure 5."""

    label: str  # such as the number of objects
    pretraining: str  # key of `pretraining`


Rows = Annotated[tuple[Row, ...], Field(min_length=1)]
Columns = Annotated[tuple[Column, ...], Field(min_length=1)]


class Section(Params):
    """What the tables show."""

    experiment: str  # key of `experiments`
    classifier: str  # key of `classifiers`, of objective linear
    probe: str  # key of `probes`, of kind robustness
    rows: Rows  # of tables 1 to 3
    table1: Columns
    table2: Columns
    table3: Columns  # accuracy without a change; then come
    other_images: tuple[OtherColumn, ...] = ()
    depth: tuple[DepthColumn, ...] = ()
    ablations: Rows  # of Table 4
    table4: Columns
    figure4: ShapeBias  # of the rows
    figure5: tuple[Amount, ...] = Field(min_length=1)
    figure5_sets: Columns

    @property
    def pretrainings(self) -> tuple[str, ...]:
        """Keys of `pretraining` that it uses, in an experiment or not."""
        named = [row.pretraining for row in (*self.rows, *self.ablations)]
        named += [amount.pretraining for amount in self.figure5]
        return tuple(key for key in dict.fromkeys(named) if key is not None)

    def check(self, study: "Study") -> None:
        """Whether all that it names is defined.

        Raises:
            ValueError: beginning with the key's path under the section.
        """
        check_known("experiment", self.experiment, study.experiments)
        check_known("classifier", self.classifier, study.classifiers)
        objective = study.classifiers[self.classifier].objective
        if objective != "linear":
            raise ValueError(f"classifier: {self.classifier} is trained by {objective}; backbones are frozen in linear")
        self._check_probe(study, "probe", self.probe, "robustness")
        for number, depth in enumerate(self.depth):
            self._check_probe(study, f"depth.{number}.probe", depth.probe, "depth")
        probes = [self.probe, *(other.probe for other in self.other_images), *(depth.probe for depth in self.depth)]
        for number, other in enumerate(self.other_images):
            self._check_probe(study, f"other_images.{number}.probe", other.probe, "robustness")
            check_known(f"other_images.{number}.experiment", other.experiment, study.experiments)
            check_known(f"other_images.{number}.set", other.set, {"set": None, **study.probes[other.probe].sets})
            if probes.count(other.probe) > 1:
                raise ValueError(
                    f"other_images.{number}.probe: {other.probe} is another column's too; give each an entry of its own"
                )
        self._check_probe(study, "figure4.probe", self.figure4.probe, "cue_conflict")
        check_known("figure4.experiment", self.figure4.experiment, study.experiments)
        for name in ("rows", "ablations"):
            self._check_rows(study, name, getattr(self, name))
        for number, amount in enumerate(self.figure5):
            self._check_start(study, f"figure5.{number}.pretraining", amount.pretraining)
        there = {"set": None, **study.probes[self.probe].sets}
        for name in ("table1", "table2", "table3", "table4", "figure5_sets"):
            for number, column in enumerate(getattr(self, name)):
                check_known(f"{name}.{number}.set", column.set, there)
            check_labels(self._labels(name))
        check_labels(self._labels("table3") | self._labels("other_images") | self._labels("depth"))
        check_labels(self._labels("figure5"))

    def _labels(self, name: str) -> dict[str, str]:
        return {f"{name}.{number}.label": one.label for number, one in enumerate(getattr(self, name))}

    def _check_probe(self, study: "Study", at: str, key: str, kind: str) -> None:
        check_known(at, key, study.probes)
        if study.probes[key].probe != kind:
            raise ValueError(f"{at}: {key} is a probe of kind {study.probes[key].probe}; name one of kind {kind}")

    def _check_rows(self, study: "Study", name: str, rows: tuple[Row, ...]) -> None:
        check_labels(self._labels(name))
        labels = [row.label for row in rows]
        for number, row in enumerate(rows):
            if row.against is not None and (row.against not in labels or row.against == row.label):
                raise ValueError(f"{name}.{number}.against: no other row is called {row.against!r}")
            self._check_start(study, f"{name}.{number}.pretraining", row.pretraining)

    def _check_start(self, study: "Study", at: str, key: str | None) -> None:
        """Whether a classifier of this section can start from a pre-training."""
        if key is not None:
            check_known(at, key, study.pretraining)
            entry = study.pretraining[key]
            family = study.family_of(study.experiments[self.experiment].set)
            if entry.needs_views and family is None:
                raise ValueError(f"{at}: {key} needs views; give it `data` of its own")
        try:
            study.architecture(self.classifier, key)
        except ValueError as error:
            raise ValueError(f"{at}: {error}") from None
