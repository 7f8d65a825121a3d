"""Differentiable Volumetric Rendering (Niemeyer et al. 2020): encoder, decoder of occupancy and colour.

The geometry of its surface (rays, first hit, implicit gradient, normals) is `robust3d.models.implicit`.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from robust3d.models.implicit import Field


class ResidualBlock(nn.Module):
    """Pre-activation residual block of two linear layers; the second starts at zero weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to (..., width)."""
        return x + self.second(torch.relu(self.first(torch.relu(x))))


class Decoder(nn.Module):
    """Occupancy logit and colour of points, conditioned by adding projections of a code before blocks."""

    def __init__(self, width: int, code_size: int = 256, blocks: int = 5) -> None:
        super().__init__()
        self.point = nn.Linear(3, width)
        self.conditioning = nn.ModuleList(nn.Linear(code_size, width) for _ in range(blocks))
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.output = nn.Linear(width, 4)

    def condition(self, code: Tensor) -> Tensor:
        """Project codes (B, code_size) once per block: (B, blocks, width). Float32 even under autocast."""
        with torch.autocast(code.device.type, enabled=False):
            code = code.to(self.point.weight.dtype)
            return torch.stack([layer(code) for layer in self.conditioning], 1)

    def forward(self, points: Tensor, condition: Tensor) -> Tensor:
        """Evaluate points, in float32 even under autocast.

        Args:
            points: (M, K, 3) in the unit cube around the origin.
            condition: (M, blocks, width) from `condition`, one row per row of points.

        Returns:
            (M, K, 4): the occupancy logit (positive inside), then the colour's three logits.
        """
        with torch.autocast(points.device.type, enabled=False):
            x = self.point(points)
            for block, shift in zip(self.blocks, condition.unbind(1), strict=True):
                x = block(x + shift[:, None])
            return self.output(torch.relu(x))

    def field(self, condition: Tensor, owner: Tensor) -> Field:
        """The occupancy field of R rays, ray i belonging to object `owner[i]` of `condition` (B, blocks, width)."""

        def logits(points: Tensor, rays: Tensor) -> Tensor:
            return self(points, condition.index_select(0, owner[rays]))[..., 0]

        return logits

    @torch.no_grad()
    def start_as_sphere(self, radius: float, sharpness: float = 10.0, scale: float = 1.0) -> None:
        """Geometric initialisation: for every code the occupancy logit is about sharpness * (radius - |p|).

        A network at the usual initialisation is nearly constant in space, so no ray meets a surface and only the weak
        auxiliary losses act. With Gaussian first-layer rows w the mean of relu(w . p) over
        units is scale * |p| / sqrt(2 pi); the blocks start as the identity and the conditioning small.
        """
        width = self.point.out_features
        self.point.weight.normal_(0, scale)
        self.point.bias.zero_()
        for name, parameter in self.conditioning.named_parameters():
            parameter.mul_(0.1 if name.endswith("weight") else 0)
        for name, parameter in self.blocks.named_parameters():
            if name.endswith("second.bias"):
                parameter.zero_()
        self.output.weight[0].fill_(-sharpness * math.sqrt(2 * math.pi) / (width * scale))
        self.output.bias[0] = sharpness * radius


class DVR(nn.Module):
    """Encoder, linear map to the code, decoder.

    Args:
        encoder: images (B, 3, H, W) in [0, 1] to (B, feature_size).
        feature_size: outputs of the encoder.
        decoder: with the same `code_size`.
        code_size: of the linear map.
        input_px: side to which images are resized for the encoder; None: as they are.
    """

    def __init__(
        self,
        encoder: nn.Module,
        feature_size: int,
        decoder: Decoder,
        code_size: int = 256,
        input_px: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.input_px = encoder, input_px
        self.to_code = nn.Linear(feature_size, code_size)
        self.decoder = decoder

    def condition(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] to the decoder's conditioning (B, blocks, width)."""
        if self.input_px is not None and images.shape[-2:] != (self.input_px, self.input_px):
            size = (self.input_px, self.input_px)
            images = interpolate(images, size, mode="bilinear", antialias=True)  # as the reference does by Pillow
        return self.decoder.condition(self.to_code(self.encoder(images)))
