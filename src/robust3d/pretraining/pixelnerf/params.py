"""pixelNeRF as a pre-training: its parameters.

Defaults are the reference implementation's for NMR renders (`conf/default_mv.conf`, `conf/exp/sn64.conf`),
with Geon3D's ResNet-18 for its ResNet-34. Objects are drawn with replacement, not in the reference's shuffled epochs:
a step then depends on its number alone, so that an interrupted run continues to the same weights.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from robust3d.params import Params as Base
from robust3d.training.params import LoopParams

Channel = Annotated[float, Field(ge=0, le=1)]


class Params(Base):
    """pixelNeRF's architecture, sampling and schedule."""

    num_layers: int = Field(4, ge=1, le=5)  # feature maps used; 4 (reference) trains conv1 to layer3, 5 also layer4
    use_first_pool: bool = False  # max-pool before layer1; reference: False at 64 px, True above
    width: int = Field(512, gt=0)  # of the MLPs (reference: 512)
    blocks: int = Field(5, ge=3)  # residual blocks (reference: 5); the first three get image features
    activation: Literal["relu", "softplus"] = "relu"  # of the density; reference: relu, whose units can die
    coarse_samples: int = Field(64, gt=1)  # stratified, per ray (reference: 64)
    importance_samples: int = Field(16, ge=0)  # drawn from the coarse weights (reference: 16)
    depth_samples: int = Field(16, ge=0)  # around the coarse depth (reference: 16); both 0: no fine pass
    # One MLP for both passes, which evaluates the coarse samples once (as EG3D); reference: one MLP per pass.
    share_mlp: bool = False
    # Limits of a ray: `near` and `far`, or its part inside the unit cube. Limits that cut off more than 1 % of the
    # objects' known surface are refused.
    near_far: Literal["fixed", "aabb"] = "fixed"
    near: float = Field(1.2, ge=0)  # distance from the camera, unit-cube units (reference: 1.2 for NMR, …
    far: float = Field(4.0, gt=0)  # … to 4.0; 0.8 to 1.8 for SRN's cars, 1.25 to 2.75 for its chairs)
    # Colour behind the field (reference: white); None: the median colour of the training targets outside their masks.
    background: tuple[Channel, Channel, Channel] | None = (1.0, 1.0, 1.0)
    batch: int = Field(4, gt=1)  # objects per step, one source view each (reference: 4)
    rays: int = Field(128, gt=0)  # per object, from any of its views (reference: 128)
    # until this step rays are drawn from the masks' bounding boxes (reference: 100,000)
    bbox_steps: int = Field(100_000, ge=0)
    validation_views: int = Field(2, gt=0)  # novel views per held-out object (the reference renders all)
    validation_objects: int = Field(32, gt=0)  # maximum number of held-out objects, evenly spaced
    loop: LoopParams = LoopParams(
        steps=400_000,  # the reference has no end; literature quotes 400,000
        learning_rate=1e-4,  # reference: Adam 1e-4, no decay
        validate_every=10_000,
    )  # … and selection: last, as in the reference, which keeps no best checkpoint

    @model_validator(mode="after")
    def _near_before_far(self) -> "Params":
        if self.near >= self.far:
            raise ValueError(f"near ({self.near}) must be less than far ({self.far})")
        return self
