"""pixelNeRF (Yu et al. 2021): a radiance field conditioned on the image features that its points project to.

Two exact savings over the reference code: rays that miss the unit cube are not evaluated, and the latent's
projection into the MLP is applied to the feature map, once per cell instead of once per sample.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust3d.errors import UserError
from robust3d.models.encoder import Encoder, seeded_initialisation
from robust3d.models.implicit import cube_interval
from robust3d.models.volume_rendering import Samples, composite, further_depths, merged, stratified

CONDITIONED_BLOCKS = 3  # the latent is added before these first residual blocks
FREQUENCIES = 6  # of the positional encoding, 1.5 * 2^k per world unit
MIN_DEPTH = 1e-2  # nearest depth for a projection, so that points behind the source camera stay finite
POINT_CHANNELS = 3 + 3 * 2 * FREQUENCIES + 3  # point, its encoding, view direction: 42


class Scene(NamedTuple):
    """Source views of B objects as input of the field: conditioning maps and cameras."""

    coarse: Tensor  # (B, h, w, 3 * width)
    fine: Tensor | None
    world_to_camera: Tensor  # (B, 4, 4) of the source views
    intrinsics: Tensor  # (B, 3, 3) in px
    size_px: tuple[int, int]  # (height, width) of the source images

    def in_source_camera(self, index: Tensor, origins: Tensor, directions: Tensor) -> "SourceRays":
        """Rays (N, 3), (N, 3) of objects `index` (N,) turned into the axes of their source cameras."""
        rotation = self.world_to_camera[index, :3, :3]
        return SourceRays(
            index,
            (rotation @ origins.unsqueeze(2)).squeeze(2),
            (rotation @ directions.unsqueeze(2)).squeeze(2),
            self.world_to_camera[index, :3, 3],
            self.intrinsics[index],
        )


class SourceRays(NamedTuple):
    """N rays in source-camera axes, rotated but not translated: the frame of the MLP's points."""

    owner: Tensor  # (N,) object
    origins: Tensor  # (N, 3)
    directions: Tensor  # (N, 3) unit
    translations: Tensor  # (N, 3) from a rotated point to camera coordinates
    intrinsics: Tensor  # (N, 3, 3)


class Rendering(NamedTuple):
    """Colours of N rays from both passes, and the last pass's opacity and expected depth along the ray."""

    coarse: Tensor  # (N, 3)
    fine: Tensor  # (N, 3); the coarse pass's if there is no fine pass
    opacity: Tensor  # (N,)
    depth: Tensor  # (N,)
    meets: Tensor  # (N,) bool, whether the ray has an interval to render


def positional_encoding(points: Tensor) -> Tensor:
    """(N, 3) to (N, 39): the point and sin and cos of its coordinates at 1.5 * 2^k, k < 6."""
    frequencies = 1.5 * 2.0 ** torch.arange(FREQUENCIES, device=points.device, dtype=points.dtype)
    angles = (points.unsqueeze(1) * frequencies[:, None]).flatten(1)
    return torch.cat([points, angles.sin(), angles.cos()], dim=1)


def look_up(features: Tensor, index: Tensor, pixels: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Bilinear samples of feature maps at image points, with the border repeated outside.

    A map's cell k is centred on the image's pixel k * stride (as strided, padded convolutions leave it), so
    the image point u lies at cell (u - 1/2) * w / W.

    Args:
        features: (B, h, w, C).
        index: (N,) which of the B maps.
        pixels: (N, 2) of (u, v) in px of the image.
        size_px: image (height, width).

    Returns:
        (N, C), differentiable in `features` and `pixels`.
    """
    batch, height, width, channels = features.shape
    x = ((pixels[:, 0] - 0.5) * (width / size_px[1])).clamp(0, width - 1)
    y = ((pixels[:, 1] - 0.5) * (height / size_px[0])).clamp(0, height - 1)
    left, top = x.detach().floor(), y.detach().floor()
    fx, fy = x - left, y - top
    columns = torch.stack([left, left + 1, left, left + 1], dim=1).long().clamp_max(width - 1)
    rows = torch.stack([top, top, top + 1, top + 1], dim=1).long().clamp_max(height - 1)
    weights = torch.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], dim=1)
    cells = (index[:, None] * height + rows) * width + columns
    table = features.reshape(batch * height * width, channels)
    return F.embedding_bag(cells, table, mode="sum", per_sample_weights=weights.to(table.dtype))


class ResidualBlock(nn.Module):
    """x + W2 relu(W1 relu(x)), pre-activated, W2 starting at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.kaiming_normal_(self.first.weight)
        nn.init.zeros_(self.first.bias)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width) to (N, width)."""
        return x + self.second(torch.relu(self.first(torch.relu(x))))


class ConditionedMlp(nn.Module):
    """Points, directions and latents to colour and density (pixelNeRF section 4.1; reference `ResnetFC`)."""

    def __init__(self, latent_channels: int, width: int, blocks: int, activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.input = nn.Linear(POINT_CHANNELS, width)
        self.latent = nn.Linear(latent_channels, CONDITIONED_BLOCKS * width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.output = nn.Linear(width, 4)
        for layer in (self.input, self.latent, self.output):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def conditioning(self, features: Tensor) -> Tensor:
        """Feature maps (B, C, h, w) to the blocks' additive inputs, (B, h, w, 3 * width).

        A linear map commutes with bilinear interpolation, so this is applied before the look-up.
        """
        return self.latent(features.permute(0, 2, 3, 1))

    def forward(self, points: Tensor, conditioning: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 42) and (N, 3 * width) to density (N,) and colour (N, 3)."""
        x = self.input(points)
        added = conditioning.chunk(CONDITIONED_BLOCKS, dim=1)
        for number, block in enumerate(self.blocks):
            x = block(x + added[number] if number < CONDITIONED_BLOCKS else x)
        out = self.output(torch.relu(x)).float()
        # softplus(x - 1) as in mip-NeRF: no dead units, unlike relu
        sigma = torch.relu(out[:, 3]) if self.activation == "relu" else F.softplus(out[:, 3] - 1)
        return sigma, torch.sigmoid(out[:, :3])


class PixelNerf(nn.Module):
    """The encoder's pyramid, a coarse and a fine MLP, and the renderer; objects are in the unit cube.

    Args:
        encoder: whose feature maps condition the field.
        num_layers: feature maps used, 1 to 5; 4 (reference) leaves layer4 unused and untrained.
        use_first_pool: keep the max-pool before layer1 (reference: dropped at 64 px).
        width: of the MLPs (reference 512).
        blocks: residual blocks (reference 5); the latent is added before the first three.
        activation: of the density, "relu" (reference) or "softplus".
        coarse_samples: stratified samples per ray (reference 64).
        importance_samples: samples by the coarse weights (reference 16).
        depth_samples: samples around the coarse depth (reference 16); both 0: no fine pass.
        share_mlp: one MLP for both passes; the fine one evaluates its own samples only and reuses the coarse one's,
            as EG3D (Chan et al. 2022) does. Off in the reference.
        near_far: (near, far) distances for every ray; None: the ray's part inside the unit cube.
        background: colour behind the field, in [0, 1].
        seed: of the MLPs' initial weights.
    """

    background: Tensor

    def __init__(
        self,
        encoder: Encoder,
        num_layers: int = 4,
        use_first_pool: bool = False,
        width: int = 512,
        blocks: int = 5,
        activation: Literal["relu", "softplus"] = "relu",
        coarse_samples: int = 64,
        importance_samples: int = 16,
        depth_samples: int = 16,
        share_mlp: bool = False,
        near_far: tuple[float, float] | None = None,
        background: tuple[float, float, float] = (1.0, 1.0, 1.0),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.num_layers, self.use_first_pool = num_layers, use_first_pool
        self.coarse_samples, self.near_far = coarse_samples, near_far
        self.importance_samples, self.depth_samples = importance_samples, depth_samples
        self.fine_pass = importance_samples + depth_samples > 0
        channels = encoder.architecture.channels[:num_layers]
        if len(channels) < num_layers:
            raise UserError(
                f"architecture: pixelNeRF needs {num_layers} feature maps (num_layers), and "
                f"{encoder.architecture.name} has {len(channels)}"
            )
        latent = sum(channels)
        with seeded_initialisation(seed, "pixelnerf"):
            self.coarse = ConditionedMlp(latent, width, blocks, activation)
            second = self.fine_pass and not share_mlp
            self.fine = ConditionedMlp(latent, width, blocks, activation) if second else None
        self.register_buffer("background", torch.tensor(background), persistent=False)

    def pyramid(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, C, h, w): all maps, upsampled to the first one's size and stacked."""
        maps = self.encoder.feature_maps(images, self.num_layers, self.use_first_pool)
        size = maps[0].shape[2:]
        return torch.cat([F.interpolate(m, size, mode="bilinear", align_corners=True) for m in maps], dim=1)

    def encode(self, images: Tensor, world_to_camera: Tensor, intrinsics: Tensor) -> Scene:
        """One source view per object: images (B, 3, H, W) in [0, 1], cameras (B, 4, 4), (B, 3, 3) in px."""
        features = self.pyramid(images)
        height, width = images.shape[2:]
        return Scene(
            self.coarse.conditioning(features),
            None if self.fine is None else self.fine.conditioning(features),
            world_to_camera,
            intrinsics,
            (height, width),
        )

    def interval(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Near and far distance (N,) of each ray; far <= near where there is nothing to render."""
        if self.near_far is None:
            return cube_interval(origins, directions, 0.5)[:2]
        near, far = self.near_far
        return torch.full_like(origins[:, 0], near), torch.full_like(origins[:, 0], far)

    def render(
        self,
        scene: Scene,
        index: Tensor,
        origins: Tensor,
        directions: Tensor,
        generator: torch.Generator | None = None,
    ) -> Rendering:
        """Render rays; those that miss the field get the background.

        Args:
            scene: of B objects.
            index: (N,) object of each ray.
            origins: (N, 3) world.
            directions: (N, 3) world, unit.
            generator: of the sample positions; None for deterministic ones.
        """
        near, far = self.interval(origins, directions)
        meets = far > near
        hit = meets.nonzero().squeeze(1)
        rays = scene.in_source_camera(index[hit], origins[hit], directions[hit])
        near, far = near[hit], far[hit]
        depths = stratified(near, far, self.coarse_samples, generator)
        field = self._field(self.coarse, scene.coarse, rays, depths, scene.size_px)
        coarse = last = composite(*field, depths, far, self.background)
        if self.fine_pass:
            further = further_depths(coarse, near, far, self.importance_samples, self.depth_samples, generator)
            if self.fine is not None and scene.fine is not None:
                depths = torch.cat([depths, further], dim=1).sort(dim=1).values
                field = self._field(self.fine, scene.fine, rays, depths, scene.size_px)
            else:
                more = self._field(self.coarse, scene.coarse, rays, further, scene.size_px)
                depths, *both = merged(Samples(depths, *field), Samples(further, *more))
                field = both[0], both[1]
            last = composite(*field, depths, far, self.background)
        sky = self.background.expand(len(index), 3)
        nothing = torch.zeros_like(origins[:, 0])
        return Rendering(
            sky.index_copy(0, hit, coarse.colour),
            sky.index_copy(0, hit, last.colour),
            nothing.index_copy(0, hit, last.opacity),
            nothing.index_copy(0, hit, last.depth),
            meets,
        )

    @staticmethod
    def _field(
        mlp: ConditionedMlp, conditioning: Tensor, rays: SourceRays, depths: Tensor, size_px: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Density (N, K) and colour (N, K, 3) of one MLP at `depths` (N, K) along the rays."""
        count, samples = depths.shape
        points = rays.origins[:, None] + depths[..., None] * rays.directions[:, None]
        in_camera = points + rays.translations[:, None]
        projected = torch.einsum("nij,nkj->nki", rays.intrinsics, in_camera)
        pixels = (projected[..., :2] / projected[..., 2:].clamp_min(MIN_DEPTH)).flatten(0, 1)
        index = rays.owner[:, None].expand(count, samples).flatten()
        directions = rays.directions[:, None].expand(count, samples, 3).flatten(0, 1)
        inputs = torch.cat([positional_encoding(points.flatten(0, 1)), directions], dim=1)
        sigma, colour = mlp(inputs, look_up(conditioning, index, pixels, size_px))
        return sigma.view(count, samples), colour.view(count, samples, 3)
