"""Parameters of a render; imports no Blender."""

from typing import Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from robust3d.data.params import BlankPolicy
from robust3d.params import Params as Base
from robust3d.seeds import numpy_generator

Vector = tuple[float, float, float]


class Sun(Base):
    """A light at infinity, fixed in the world."""

    direction: Vector  # towards the light
    strength: float = Field(gt=0)  # how bright a white surface looks that faces it; 1 is white on the image
    shadow: bool = False  # a lamp that casts shadows; without, the shader adds the light, free of noise
    angle_deg: float = Field(0.0, ge=0, le=90)  # its size in the sky: above 0, shadows get soft edges (more samples)

    @field_validator("direction")
    @classmethod
    def _points_somewhere(cls, direction: Vector) -> Vector:
        if not any(direction):
            raise ValueError("a direction cannot be (0, 0, 0)")
        return direction

    @model_validator(mode="after")
    def _soft_only_with_shadow(self) -> "Sun":
        if self.angle_deg and not self.shadow:
            raise ValueError("angle_deg softens shadows: it needs `shadow: true`")
        return self


class LightParams(Base):
    """A sun that is drawn anew for each view: its direction uniform, its strength random, with hard shadows."""

    side: Literal["camera", "any"] = "camera"  # camera: from the half of all directions on the camera's side; any: also
    # from behind the object, which half of the views then show in ambient light alone
    strength: tuple[float, float] = (0.4, 1.2)  # as a sun's; uniform in its logarithm

    @field_validator("strength")
    @classmethod
    def _range(cls, strength: tuple[float, float]) -> tuple[float, float]:
        if not 0 < strength[0] <= strength[1]:
            raise ValueError(f"{list(strength)} is no range from low to high above 0")
        return strength


def light_of(
    params: LightParams, seed: int, class_name: str, instance: str, view: int, world_to_camera: np.ndarray
) -> Sun:
    """The sun of one view; it depends on the object, the view and the camera's side of the world alone."""
    name = f"{class_name}/{instance}" if class_name else instance
    generator = numpy_generator(seed, "light", name, view)
    direction = generator.normal(size=3)
    if params.side == "camera" and direction @ world_to_camera[2, :3] > 0:  # it shines the way the camera looks
        direction = -direction
    x, y, z = direction.tolist()
    low, high = np.log(params.strength)
    return Sun(direction=(x, y, z), strength=float(np.exp(generator.uniform(low, high))), shadow=True)


class RenderParams(Base):
    """Image size, light and quality. The papers give none but the size."""

    resolution_px: int = Field(224, ge=8)  # side of the square image (Geon3D: 224)
    samples: int = Field(16, ge=1)  # paths a pixel; mask and depth are exact with any
    bounces: int = Field(0, ge=0)  # of light between surfaces; needs many samples
    suns: tuple[Sun, ...] = (  # from all around, so that any two sides of a box differ and white never clips
        Sun(direction=(0.45, 0.75, 0.48), strength=0.62, shadow=True),
        Sun(direction=(0.0, 0.8, 0.6), strength=0.3),
        Sun(direction=(-0.5, 0.0, -0.85), strength=0.28),
        Sun(direction=(0.5, -0.85, 0.1), strength=0.08),
    )
    light: LightParams | None = None  # in addition to the suns; none: all views of all objects have the same light
    ambient: float = Field(0.05, ge=0)  # how bright a white surface looks that no light reaches
    checks: float | None = Field(
        None, gt=0
    )  # a pattern of cubes, so many to a unit of length, on all colours; none: plain
    # Objects with a view that shows nothing of them, or nothing else: end there, leave them out, or take them as they
    # are. Cells say what was found.
    blank_views: BlankPolicy = "skip"
