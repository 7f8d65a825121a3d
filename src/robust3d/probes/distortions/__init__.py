"""Accuracy on images without shape, without texture, with noise or attacked (shape-bias paper, section 3.2)."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from robust3d.attacks.params import Budget, Norm, PgdParams
from robust3d.distortions.parameters import ParameterSet
from robust3d.params import Params as Base
from robust3d.params import distinct

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

__all__ = ["OPTIONAL_SETS", "PACKAGES", "Params", "probe"]

PACKAGES = ("scipy", "pillow")
# masks: pictures of the objects, white on black, by the names of the images; without them: the exact masks of views.
# stylised: the images in another style, by the same names. textures: a bank that objects are painted from. unpainted:
# where the objects are painted already, the same views as rendered, by the same names.
OPTIONAL_SETS = ("masks", "stylised", "textures", "unpainted")

Kind = Literal["adversarial", "scrambled", "stylised", "black_and_white", "silhouette", "noise"]


class Attack(PgdParams):
    """The paper's attack (section 2): what a study leaves out stays so."""

    norm: Norm = "L2"
    epsilon: Budget = Field(Budget(3), gt=0)
    step_size: Budget = Field(Budget(0.5), gt=0)


class Params(Base):
    """Which distortions, and what the paper leaves open about them."""

    distortions: tuple[Kind, ...] = Field(
        ("adversarial", "scrambled", "stylised", "black_and_white", "silhouette", "noise"), min_length=1
    )
    scrambled: tuple[Annotated[int, Field(ge=2)], ...] = (2, 4, 8)  # tiles along a side; section 3.2.1
    permutation: Literal["per_image", "fixed"] = "per_image"  # fixed: one for all images, as in the released code
    black_and_white: Literal["threshold", "potrace"] = "threshold"  # potrace: the paper's external programs
    threshold: Literal["half", "otsu"] = "half"  # of the mean of the channels; half: 0.5, potrace's
    attack: Attack = Attack()
    noise_severity: int = Field(1, ge=1, le=5)  # ImageNet-C's Gaussian noise
    noise_parameters: ParameterSet | None = None  # whose; none: by the images' size, as the probe `corruptions`
    batch_size: int = Field(250, ge=1)  # images per forward pass; changes speed and memory only
    seed: int = Field(0, ge=0)  # of all that is drawn, for each image apart

    _once = field_validator("distortions", "scrambled")(distinct)

    @model_validator(mode="after")
    def _check(self) -> "Params":
        if self.attack.random_start:
            raise ValueError("attack.random_start: leave it at false; what is drawn would depend on batch_size")
        return self


def probe(params: Params, subject: "Subject") -> "Findings":
    """What the classifier says of every image, as it is and distorted in each way."""
    from robust3d.probes.distortions.distorted import ask  # planning imports this module and needs no torch

    return ask(params, subject)
