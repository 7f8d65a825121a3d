"""Parameters of a render; imports no Blender."""

from pydantic import Field, field_validator

from robust3d.params import Params as Base

Vector = tuple[float, float, float]


class Sun(Base):
    """A lamp at infinity, fixed in the world."""

    direction: Vector  # towards the lamp
    strength: float = Field(gt=0)  # irradiance of a surface that faces it; 3.14 makes white appear as 1

    @field_validator("direction")
    @classmethod
    def _points_somewhere(cls, direction: Vector) -> Vector:
        if not any(direction):
            raise ValueError("a direction cannot be (0, 0, 0)")
        return direction


class RenderParams(Base):
    """Image size, light and quality. The papers give none but the size."""

    resolution_px: int = Field(224, ge=8)  # side of the square image (Geon3D: 224)
    samples: int = Field(16, ge=1)  # paths a pixel; mask and depth are exact with any
    bounces: int = Field(1, ge=0)  # of light between surfaces
    suns: tuple[Sun, ...] = (  # from all around, each of its own strength, so that no two sides look alike
        Sun(direction=(0.6, 1.0, 0.8), strength=1.9),
        Sun(direction=(-1.0, 0.3, 0.6), strength=0.9),
        Sun(direction=(0.4, -0.2, -1.0), strength=1.3),
        Sun(direction=(-0.3, -1.0, 0.2), strength=0.5),
    )
    ambient: float = Field(0.28, ge=0)  # radiance of the sky, the same from everywhere
