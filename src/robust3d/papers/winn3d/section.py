"""The paper's section of the configuration: voxels, trainings that are compared, attacks, generators."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from robust3d.attacks.voxel_params import StepReading, VoxelAttackParams
from robust3d.papers.winn3d.generators import GeneratorSection
from robust3d.params import Params, distinct
from robust3d.parsing import parse
from robust3d.study.keys import check_known, check_labels, there
from robust3d.study.layers import read_layers
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
        at, own = f"trainings.{key}", {"network": {"resolution": study.voxels[self.voxels].resolution}}
        layers = {"supervised": self.supervised, f"{at}.changes": self.trainings[key].changes}
        return read_layers(partial(parse, VoxelTrainingParams), at, own, layers)

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
        _check_attack("attack", self.attack)
        check_labels({f"trainings.{key}.label": training.label for key, training in self.trainings.items()})
        for key in self.trainings:
            if not self.training(study, key).supervised:
                raise ValueError(f"trainings.{key}.supervised: a row of the tables classifies, so it needs labels")
            attack = self.attack_on(key)
            _check_attack("control_attack", attack)
            if self.reading not in attack.readings or self.clip not in attack.clips:
                raise ValueError(f"reading, clip: {self.reading} and {self.clip} are not among those that are attacked")
        placed = study.voxels[self.voxels].voxels
        if placed is not None and self.attack.turns and placed.up != self.attack.up:
            raise ValueError(f"attack.up: {self.attack.up}, but voxels.{self.voxels}.voxels.up is {placed.up}")
        self.check_generators(study, self.voxels)


def _check_attack(at: str, attack: VoxelAttackParams) -> None:
    """Refuse what would stand twice in the outcomes, and a norm that Table 7 has no column for."""
    for name in ("steps", "readings", "clips", "flips"):
        try:
            distinct(getattr(attack, name))
        except ValueError as error:
            raise ValueError(f"{at}.{name}: {error}") from None
    if attack.autoattack is not None and attack.autoattack.norm != "Linf":
        raise ValueError(f"{at}.autoattack.norm: {attack.autoattack.norm}; Table 7 shows Linf")
