"""Differentiable Volumetric Rendering as a pre-training: its parameters.

Defaults are the reference implementation's (`configs/default.yaml`, batch 32 as in Geon3D appendix D).
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from robust3d.params import Params as Base
from robust3d.training.params import LoopParams


class LossWeights(Base):
    """Weights of the losses, each a sum over pixels divided by the batch size; 0 leaves a loss out."""

    rgb: float = Field(1.0, ge=0)  # L1 over three channels (reference: 1)
    normal: float = Field(0.05, ge=0)  # smoothness of normals (reference: 0.05)
    freespace: float = Field(1.0, ge=0)  # reference: 1
    occupancy: float = Field(1.0, ge=0)  # reference: 1
    depth: float = Field(0.0, ge=0)  # L1 of camera z; reference: 0, and 1 or 10 with 2.5D supervision


class Loop(LoopParams):
    """The reference's schedule: what a study leaves out stays so."""

    steps: int = Field(400_000, gt=0)  # the reference has no end; appendix D: 1.5 days on a V100
    learning_rate: float = Field(1e-4, gt=0)  # reference: Adam 1e-4, halved at epochs 750 and 1000 …
    # … which are these steps on Geon3D-10 at batch 32. On ShapeNet, of three times as many objects, they would be
    # 718,000 and 958,000, after the last step: the encoder would come from the full learning rate, noisier than
    # on geons. One schedule in steps for both keeps the data the only difference; () is the literal reading.
    decay_steps: tuple[PositiveInt, ...] = (250_000, 333_000)
    decay_factor: float = Field(0.5, gt=0, le=1)
    validate_every: int = Field(2000, gt=0)  # reference: 2000
    # The reference saves both, the last and the best by the share of pixels with a correct mask ("best" here: by
    # mask IoU). The papers do not say which encoder was used; the last has seen as many images as other methods'.
    selection: Literal["last", "best"] = "last"


class Params(Base):
    """DVR's architecture, rendering, losses and schedule."""

    # Side of the encoder's input images, after resizing; at 224 its last feature map is 7x7 (reference:
    # `img_size_input` 224 for views of any size). None: the views' own size; at 32 px the last feature map is 1x1.
    input_px: int | None = Field(224, gt=0)
    hidden: int = Field(512, gt=0)  # decoder width; reference: 512 in default.yaml, 128 in ours_rgb.yaml
    # Decoder start: "geometric" is a sphere; "default" (reference) needs ImageNet features to ever hit.
    initialisation: Literal["geometric", "default"] = "default"
    initial_radius: float = Field(0.3, gt=0, lt=0.5)  # of that sphere; objects fill a cube of side 1
    batch: int = Field(32, gt=1)  # objects per step, one input and one target view each (reference: 64)
    pixels: int = Field(1024, gt=0)  # random pixels per target view (reference: 1024)
    march_steps: tuple[Annotated[int, Field(gt=1)], ...] = (16, 32, 64, 128)  # samples per ray …
    # … changing at these steps (both as in the reference)
    march_schedule: tuple[Annotated[int, Field(gt=0)], ...] = (50_000, 100_000, 250_000)
    secant_steps: int = Field(8, ge=0)  # refinements of a crossing (reference: 8)
    padding: float = Field(0.1, ge=0)  # rays are sampled in the unit cube enlarged by this much (reference: 0.1)
    # Which pixels enter the freespace and normal losses: as in the reference code, or as in the paper's equations.
    loss_mode: Literal["code", "paper"] = "code"
    # Where the ray of a missed pixel is supervised to be occupied: anywhere in the unit cube (default.yaml), or at
    # the visual hull of the object's silhouettes (ours_rgb.yaml), anywhere if the ray misses the hull. A depth loss
    # puts it at the true depth.
    occupancy_point: Literal["random", "visual_hull"] = "random"
    losses: LossWeights = LossWeights()
    # Finite difference and neighbourhood of normals (reference: 1e-3). Gradients of the logit below 1e-5 / normal_step
    # count as flat: their normals are shorter than 1.
    normal_step: float = Field(1e-3, gt=0)
    chunk_points: int = Field(65_536, gt=0)  # points per decoder call when marching; 4096 is best on a CPU
    validation_march_steps: int = Field(128, gt=1)  # reference: 128
    validation_images: int = Field(32, gt=0)  # held-out (input, target) pairs rendered at each validation
    loop: Loop = Loop()

    @model_validator(mode="after")
    def _schedule_fits(self) -> "Params":
        if list(self.march_schedule) != sorted(set(self.march_schedule)):
            raise ValueError(f"march_schedule must rise, not {self.march_schedule}")
        if len(self.march_steps) != len(self.march_schedule) + 1:
            raise ValueError(
                f"march_steps has {len(self.march_steps)} entries for {len(self.march_schedule)} entries of "
                "march_schedule; it needs exactly one more"
            )
        return self

    def march_steps_at(self, step: int) -> int:
        """Samples per ray at a training step, by the schedule."""
        return self.march_steps[sum(step >= border for border in self.march_schedule)]
