"""The paper's section of the configuration: voxels, trainings that are compared, attacks, generators."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from robust3d.attacks.voxel_params import StepReading, VoxelAttackParams
from robust3d.papers.winn3d.generators import GeneratorSection, there
from robust3d.params import Params
from robust3d.parsing import parse
from robust3d.study.keys import check_known
from robust3d.study.like import merge
from robust3d.training.introspection.params import VoxelTrainingParams

if TYPE_CHECKING:
    from robust3d.study.config import Study


class Training(Params):
    """One training, a row of the tables."""

    label: str
    printed: Literal["Baseline", "3DWINN"] | None = None  # the paper's row whose numbers stand beside
    changes: dict[str, Any] = Field(default_factory=dict)  # of the parameters under `supervised`


class Section(GeneratorSection):
    """What the tables show."""

    voxels: str  # key of `voxels`
    supervised: dict[str, Any]  # parameters of the paper's supervised training; its resolution is that of the voxels
    trainings: Annotated[dict[str, Training], BeforeValidator(there)]  # in rows; null leaves one out
    introspective: str = "winn"  # key of `trainings`: the paper's model, whose passes all others get
    baseline: str = "baseline"  # key of `trainings`, with which all others are compared
    attack: VoxelAttackParams = VoxelAttackParams()
    control_attack: dict[str, Any] = Field(default_factory=dict)  # changes of `attack` for the controls
    reading: StepReading = "fifth"  # of iterative FGSM, in the rows beside the printed numbers
    clip: bool = True  # likewise

    def training(self, study: "Study", key: str) -> VoxelTrainingParams:
        """The parameters of a training, with as many passes as the paper's model.

        Raises:
            ValueError: beginning with the key's path under the section.
        """
        main, ours = (self._parsed(study, name) for name in (self.introspective, key))
        return ours.with_passes(main.passes)

    def _parsed(self, study: "Study", key: str) -> VoxelTrainingParams:
        own = {"network": {"resolution": study.voxels[self.voxels].resolution}}
        values = merge(merge(own, self.supervised), self.trainings[key].changes)
        params: VoxelTrainingParams = parse(VoxelTrainingParams, values, f"trainings.{key}")
        return params

    def attack_on(self, key: str) -> VoxelAttackParams:
        """The attacks on a training's classifiers."""
        if key in (self.introspective, self.baseline):
            return self.attack
        values = merge(self.attack.model_dump(mode="json"), self.control_attack)
        params: VoxelAttackParams = parse(VoxelAttackParams, values, "control_attack")
        return params

    def check(self, study: "Study") -> None:
        """Whether all that it names is defined, and fits together.

        Raises:
            ValueError: beginning with the key's path under the section.
        """
        check_known("voxels", self.voxels, study.voxels)
        for name in ("introspective", "baseline"):
            check_known(name, getattr(self, name), self.trainings)
        if not self._parsed(study, self.introspective).synthesises:
            raise ValueError(f"introspective: {self.introspective} synthesises nothing; name one that does")
        labels = [training.label for training in self.trainings.values()]
        for key, training in self.trainings.items():
            if labels.count(training.label) > 1:
                raise ValueError(f"trainings.{key}.label: {training.label!r} is the label of two; give each its own")
            if not self.training(study, key).supervised:
                raise ValueError(f"trainings.{key}.supervised: a row of the tables classifies, so it needs labels")
            attack = self.attack_on(key)
            if self.reading not in attack.readings or self.clip not in attack.clips:
                raise ValueError(f"reading, clip: {self.reading} and {self.clip} are not among those that are attacked")
        placed = study.voxels[self.voxels].voxels
        if placed is not None and self.attack.turns and placed.up != self.attack.up:
            raise ValueError(f"attack.up: {self.attack.up}, but voxels.{self.voxels}.voxels.up is {placed.up}")
        self.check_generators(study, self.voxels)
