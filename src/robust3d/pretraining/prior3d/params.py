"""Parameters of 3D-Prior (Aygun et al. 2024); defaults are the paper's, and say so where it leaves a choice open."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from robust3d.params import Params as Base
from robust3d.training.params import LoopParams

Channel = Annotated[float, Field(ge=0, le=1)]


class Params(Base):
    """Decoder, rendering, losses, augmentation and schedule."""

    # Ablations (Table 4): convolutional is "w/o triplane", distillation_weight 0 "w/o L_dist"; "from scratch" is also
    # that, with the entry's `start: random`.
    decoder: Literal["triplane", "convolutional"] = "triplane"
    rgb_weight: float = Field(0.1, ge=0)
    depth_weight: float = Field(1.0, ge=0)
    # Of the depth of what a ray meets, where it should meet something; not in the paper, whose photographs are opaque
    # everywhere. At an object's outline a ray's expected depth may lie anywhere between object and background.
    surface_weight: float = Field(0.0, ge=0)
    distillation_weight: float = Field(1.0, ge=0)  # of the distance to a frozen copy of the start
    density_weight: float = Field(1e-3, ge=0)
    # Of image, depth and representation. squared: mean squared error (paper, in words); norm: an image's Euclidean norm
    # (its equations), for which all pixels have to be rendered.
    error: Literal["squared", "norm"] = "squared"
    # Of the densities. sum: over all samples and images (the equation), which outweighs the rest at any size.
    density_term: Literal["mean", "sum"] = "mean"
    # Of the densities; open in the paper. sample: 1 dims by e from one sample to the next, whatever the depths' units;
    # depth: in one unit of depth (EG3D), of which a range of a few units needs hundreds before it is opaque.
    density_unit: Literal["sample", "depth"] = "sample"
    distil: tuple[Literal["patches", "class_token"], ...] = Field(("patches", "class_token"), min_length=1)
    # How the class token joins the patches; open in the paper. channels: of every patch; token: one more; none.
    class_token: Literal["channels", "token", "none"] = "channels"
    # Whether the tokens, and the queries at first, say where they are; open in the paper, whose tokens do.
    # A convolutional network's do not, and attention then takes long to find what lies where; sinusoids: as in DETR.
    positions: Literal["none", "sinusoids"] = "none"
    # In training. frozen: the start's statistics, unchanged, so that the distance to it is 0 at first; measured: the
    # same, but measured anew on the training views before the start is copied; batch: each batch's own, for a network
    # that starts at random. Transformers have none.
    batch_norms: Literal["frozen", "measured", "batch"] = "frozen"
    # Learning rate of the encoder, times the decoder's (paper: one for all). At first nothing holds the representation:
    # the distance to the start is 0, and so is its gradient.
    encoder_rate: float = Field(1.0, gt=0)
    width: int = Field(256, gt=0)  # of queries and of the convolutional decoder; open in the paper
    heads: int = Field(8, gt=0)  # of attention; open in the paper
    blocks: int = Field(1, gt=0)  # of attention; open in the paper
    self_attention: bool = False  # also among the queries: the paper names both kinds
    query_px: int = Field(16, gt=0)  # side of the planes of queries (paper: 16)
    plane_px: int = Field(128, gt=0)  # side of the planes (paper: 128)
    channels: int = Field(32, gt=0)  # of the planes; open in the paper (EG3D, 3DGP: 32)
    hidden: int = Field(64, gt=0)  # of the field's first layer; open in the paper (EG3D, 3DGP: 64)
    samples: int = Field(16, gt=1)  # per ray, stratified (paper: 16)
    importance_samples: int = Field(16, ge=0)  # more by importance; the paper gives no number
    rays: int | None = Field(None, gt=0)  # random pixels, the same for all images of a step; null: all (paper)
    upscale: int = Field(16, gt=0)  # by which the convolutional decoder enlarges the grid of tokens; open in the paper
    # The fixed camera has the views' intrinsics; those of pictures are not known, and their field of view is assumed.
    fov_deg: float = Field(50.0, gt=1, lt=170)  # horizontal, of pictures from a `set`; open in the paper
    # The camera sees from near to far, in the units of the views; null: from 5 % before the nearest known depth to 5 %
    # behind the farthest. Open in the paper. Where there is no object the depth is the farthest.
    depth_range: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = None
    background_depth: Literal["far", "ignored"] = "far"  # the target there; ignored: none
    background: tuple[Channel, Channel, Channel] | None = None  # behind the field; null: the targets' median there
    input_px: int | None = Field(None, gt=0)  # side to which images are resized for the encoder; null: as they are
    flip: bool = True  # half of the images, left-right (paper)
    crop: float = Field(0.7, gt=0, le=1)  # smallest side of a random square crop, of the image's; open in the paper
    objects: int | None = Field(None, gt=0)  # of the training set, classes in turn; null: all (Figure 5 varies it)
    batch: int = Field(64, gt=1)  # images per step; open in the paper
    validation_images: int = Field(256, gt=1)  # maximum number of held-out images
    loop: LoopParams = LoopParams(
        steps=200_000,  # paper: 10 epochs of 1.28 million images
        learning_rate=1e-4,  # paper: Adam, fixed
        validate_every=10_000,
    )

    @model_validator(mode="after")
    def _check(self) -> "Params":
        if not _is_power_of_two(self.plane_px / self.query_px):
            raise ValueError(f"plane_px: {self.plane_px} is not query_px ({self.query_px}) times a power of two")
        if not _is_power_of_two(self.upscale):
            raise ValueError(f"upscale: {self.upscale} is no power of two")
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} heads cannot share a width of {self.width}")
        if self.positions == "sinusoids" and self.width % 4:
            raise ValueError(f"width: sinusoids of two sides need a multiple of 4, and it is {self.width}")
        if self.decoder == "convolutional" and self.class_token == "token":
            raise ValueError("class_token: the convolutional decoder has no place for one more token; use channels")
        if self.depth_range is not None and self.depth_range[0] >= self.depth_range[1]:
            raise ValueError(f"depth_range: {list(self.depth_range)} is not near and far; the second has to be larger")
        if self.error == "norm" and self.rays is not None:
            raise ValueError("rays: error: norm is of whole images; leave rays at null, or use error: squared")
        return self

    def check_start(self, is_random: bool) -> None:
        """Whether the losses go together with the encoder's start.

        Raises:
            ValueError: names the key.
        """
        if is_random and self.distillation_weight:
            raise ValueError(
                "params.distillation_weight: the entry starts at random, and a random network teaches nothing; set it "
                "to 0, or name a start"
            )
        if is_random and self.batch_norms != "batch":
            raise ValueError("params.batch_norms: the entry starts at random and has no statistics yet; use batch")


def _is_power_of_two(value: float) -> bool:
    return value >= 1 and float(value).is_integer() and int(value) & (int(value) - 1) == 0
