"""3D-Prior's decoders (Aygun et al. 2024): a triplane that is rendered from one fixed camera, or a plain image decoder.

The camera looks along z and stays where it is: the field is viewer-centred (section 3.2). Depths are camera z, in the
units of the views; a ray's parameter is its z, so that its samples are equally long whatever its direction.

All images of a batch share rays and the first pass's samples. Their planes are then read at the same places, each with
one look-up for all images, which takes less than half the time of a look-up per image.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust3d.models.encoder import Encoder
from robust3d.models.tokens import Tokens
from robust3d.models.volume_rendering import Composite, Samples, composite, further_depths, merged, stratified

PLANES = ((0, 1), (0, 2), (1, 2))  # the axes of xy, xz and yz
CPU_POINTS = 4096  # of an image in one call of the field; affects rounding only
NEGATIVE_SLOPE = 0.2  # of the leaky units (3DGP, Skorokhodov et al. 2023)
THIN = 1e-3  # opacity that counts as next to nothing


class Rendered(NamedTuple):
    """R pixels of N images.

    Attributes:
        colour: (N, R, 3) in [0, 1].
        depth: (N, R), expected camera z; what a ray does not meet counts as `far`.
        surface: (N, R), expected camera z of what a ray meets; towards `far` where that is next to nothing.
        opacity: (N, R) in [0, 1].
        density: (N, R, K) at all samples, in the decoder's unit; None without a field.
    """

    colour: Tensor
    depth: Tensor
    surface: Tensor
    opacity: Tensor
    density: Tensor | None


class FixedCamera(nn.Module):
    """A pinhole camera, and the box of what it sees between two depths as the cube [-1, 1]^3.

    Args:
        intrinsics: (3, 3) in px.
        size_px: (height, width).
        near: smallest depth.
        far: largest depth.
    """

    slopes: Tensor
    reach: Tensor

    def __init__(self, intrinsics: Tensor, size_px: tuple[int, int], near: float, far: float) -> None:
        super().__init__()
        self.size_px, self.near, self.far = size_px, near, far
        rows, columns = torch.meshgrid(*(torch.arange(side) + 0.5 for side in size_px), indexing="ij")
        centres = torch.stack([columns, rows, torch.ones_like(rows)], dim=2).flatten(0, 1)
        inverse = torch.linalg.inv(intrinsics.double().cpu())
        corners = torch.tensor([[0.0, 0, 1], [size_px[1], size_px[0], 1]], dtype=torch.float64)
        self.register_buffer("slopes", (centres.double() @ inverse.T)[:, :2].float(), persistent=False)
        self.register_buffer("reach", (corners @ inverse.T)[:, :2].abs().amax(0).float() * far, persistent=False)

    def points(self, pixels: Tensor, depths: Tensor) -> Tensor:
        """Points in the cube, (..., R, K, 3), at `depths` (..., R, K) of the rays through pixels (R,), row-major."""
        across = self.slopes[pixels][:, None] / self.reach * depths[..., None]
        along = 2 * (depths - self.near) / (self.far - self.near) - 1
        return torch.cat([across, along[..., None]], dim=-1)


def sample_each(planes: Tensor, points: Tensor) -> Tensor:
    """Mean over the planes of their bilinear samples, at points of each image.

    Args:
        planes: (N, 3, C, P, P), in the order of `PLANES`; the first axis runs along the columns. A plane's border is
            at -1 and 1; beyond the outer cells' centres their values are repeated.
        points: (N, M, 3) in [-1, 1].

    Returns:
        (N, M, C).
    """
    places = torch.stack([points[..., axes] for axes in PLANES], dim=1).flatten(0, 1)[:, None]
    found = F.grid_sample(planes.flatten(0, 1), places, padding_mode="border", align_corners=False)
    return found[:, :, 0].unflatten(0, planes.shape[:2]).mean(1).mT


def sample_shared(planes: Tensor, points: Tensor) -> Tensor:
    """The same as `sample_each` at points (M, 3) that all images share, which become channels of one look-up."""
    count, _, channels, side, _ = planes.shape
    table = planes.permute(1, 3, 4, 0, 2).reshape(-1, count * channels)
    place = ((points + 1) * (side / 2) - 0.5).clamp(0, side - 1)
    below = place.floor()
    shares = torch.stack([1 - (place - below), place - below])  # (2, M, 3), of the lower and of the upper cell
    cells = torch.stack([below.long(), (below.long() + 1).clamp_max(side - 1)])
    index, weight = [], []
    for number, (x, y) in enumerate(PLANES):
        for row in (0, 1):
            for column in (0, 1):
                index.append((number * side + cells[row, :, y]) * side + cells[column, :, x])
                weight.append(shares[row, :, y] * shares[column, :, x] / len(PLANES))
    found = F.embedding_bag(
        torch.stack(index, 1), table, mode="sum", per_sample_weights=torch.stack(weight, 1).to(table)
    )
    return found.view(-1, count, channels).transpose(0, 1)


class Attention(nn.Module):
    """A transformer block on queries: attention to the tokens, perhaps to each other before, and a perceptron."""

    def __init__(self, width: int, heads: int, self_attention: bool) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width) if self_attention else None
        self.among = nn.MultiheadAttention(width, heads, batch_first=True) if self_attention else None
        self.norm, self.token_norm, self.last = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.across = nn.MultiheadAttention(width, heads, batch_first=True)
        self.perceptron = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """(N, Q, W) and (N, T, W) to (N, Q, W)."""
        if self.before is not None and self.among is not None:
            normed = self.before(queries)
            queries = queries + self.among(normed, normed, normed, need_weights=False)[0]
        keys = self.token_norm(tokens)
        queries = queries + self.across(self.norm(queries), keys, keys, need_weights=False)[0]
        return queries + self.perceptron(self.last(queries))


class TokenProjection(nn.Module):
    """Patches and class token to tokens of one width.

    Args:
        channels: of a patch and of the class token.
        width: of the result.
        class_token: "channels": further channels of every patch, "token": one more token, "none": left out.
        positions: "sinusoids": each patch also says where it is, see `grid_waves`; "none".
    """

    def __init__(self, channels: tuple[int, int], width: int, class_token: str, positions: str) -> None:
        super().__init__()
        self.class_token, self.positions = class_token, positions
        self.patches = nn.Linear(channels[0], width)
        self.whole = None if class_token == "none" else nn.Linear(channels[1], width)

    def forward(self, tokens: Tokens) -> Tensor:
        """(N, T, W); T + 1 with the class token as one of them, the last one."""
        patches = self.patches(tokens.patches)
        if self.positions == "sinusoids":
            patches = patches + grid_waves(tokens.grid, patches.shape[2]).flatten(0, 1).to(patches)
        if self.whole is None:
            return patches
        whole = self.whole(tokens.class_token)[:, None]
        # a linear map of the patch with further channels is the sum of two
        return patches + whole if self.class_token == "channels" else torch.cat([patches, whole], dim=1)


def grid_waves(grid: tuple[int, int], width: int) -> Tensor:
    """Sinusoids (rows, columns, W) of the places of a grid's cells: of the column in one half, of the row in the other.

    A place is a share of the side, so that grids of different sizes agree.
    """
    along, across = (_waves((torch.arange(side) + 0.5) / side, width // 2) for side in grid)
    return torch.cat([across.expand(grid[0], -1, -1), along[:, None].expand(-1, grid[1], -1)], dim=2)


def _waves(places: Tensor, width: int) -> Tensor:
    """Cosines and sines (P, W) of one to W / 2 half turns at places (P,) in [0, 1], of falling amplitude."""
    turns = torch.arange(1, width // 2 + 1)
    angles = math.pi * places[:, None] * turns
    return torch.cat([angles.cos(), angles.sin()], dim=1) / turns.sqrt().repeat(2)


def query_waves(side: int, width: int) -> Tensor:
    """Sinusoids (3, side, side, W) of what each plane's cells know of the image: column and row, column, row."""
    waves = grid_waves((side, side), width)
    column, row = waves.clone(), waves.clone()
    column[..., width // 2 :] = 0
    row[..., : width // 2] = 0
    return torch.stack([waves, column, row.transpose(0, 1)])  # y runs along the columns of the yz plane


def upsampling(width: int, channels: int, factor: int) -> nn.Sequential:
    """Blocks that double the size, bilinearly and then a convolution, and a last one to `channels`."""
    layers: list[nn.Module] = []
    for _ in range(int(math.log2(factor))):
        layers += [
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(width, max(width // 2, channels), 3, padding=1),
            nn.LeakyReLU(NEGATIVE_SLOPE),
        ]
        width = max(width // 2, channels)
    return nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1))


class TriplaneDecoder(nn.Module):
    """Tokens to planes, and their rendering (sections 3.2 and 3.4).

    Args:
        token_channels: of a patch and of the class token.
        camera: fixed.
        background: colour behind the field, in [0, 1].
        class_token: see `TokenProjection`.
        positions: see `TokenProjection`; with "sinusoids" the queries start at those of their own places.
        width: of the queries.
        heads: of attention.
        blocks: of attention.
        self_attention: whether the queries also attend to each other.
        query_px: side of the queries' planes.
        plane_px: side of the planes: query_px times a power of two.
        channels: of the planes.
        hidden: width of the field's first layer.
        samples: per ray, stratified.
        importance_samples: per ray, by the first pass's weights; 0: one pass.
        density_unit: "sample": of the field's densities, 1 dims by e between two samples of the first pass, and a field
            of zeros has an optical depth of 1 along a ray; "depth": by e in one unit of depth (EG3D).
    """

    camera: FixedCamera
    background: Tensor

    def __init__(
        self,
        token_channels: tuple[int, int],
        camera: FixedCamera,
        background: tuple[float, float, float],
        *,
        class_token: str,
        positions: str,
        width: int,
        heads: int,
        blocks: int,
        self_attention: bool,
        query_px: int,
        plane_px: int,
        channels: int,
        hidden: int,
        samples: int,
        importance_samples: int,
        density_unit: str,
    ) -> None:
        super().__init__()
        self.camera, self.query_px = camera, query_px
        self.samples, self.importance_samples = samples, importance_samples
        per_sample = density_unit == "sample"
        self.per_depth = samples / (camera.far - camera.near) if per_sample else 1.0  # a density of 1
        self.shift = math.log(math.expm1(1 / samples)) if per_sample else -1.0  # of the field's output before softplus
        self.project = TokenProjection(token_channels, width, class_token, positions)
        start = 0.02 * torch.randn(len(PLANES) * query_px**2, width)
        self.queries = nn.Parameter(
            start + query_waves(query_px, width).flatten(0, 2) if positions == "sinusoids" else start
        )
        self.attention = nn.ModuleList(Attention(width, heads, self_attention) for _ in range(blocks))
        self.up = upsampling(width, channels, plane_px // query_px)
        self.field = nn.Sequential(nn.Linear(channels, hidden), nn.LeakyReLU(NEGATIVE_SLOPE), nn.Linear(hidden, 4))
        self.register_buffer("background", torch.tensor(background), persistent=False)

    def planes(self, tokens: Tokens) -> Tensor:
        """(N, 3, C, P, P)."""
        projected = self.project(tokens)
        x = self.queries.expand(len(projected), -1, -1)
        for block in self.attention:
            x = block(x, projected)
        grids = x.unflatten(1, (len(PLANES), self.query_px, self.query_px)).permute(0, 1, 4, 2, 3)
        return self.up(grids.flatten(0, 1)).float().unflatten(0, grids.shape[:2])  # read in fp32, also under autocast

    def radiance(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Density (N, M), in the decoder's unit, and colour (N, M, 3) of plane features (N, M, C)."""
        if features.device.type == "cpu":  # in parts that fit into a processor's cache: less than half the time
            out = torch.cat([self.field(part) for part in features.split(CPU_POINTS, dim=1)], dim=1)
        else:
            out = self.field(features).float()
        return F.softplus(out[..., 3] + self.shift), torch.sigmoid(out[..., :3])  # no dead units, as mip-NeRF

    def forward(self, tokens: Tokens, pixels: Tensor, generator: torch.Generator | None = None) -> Rendered:
        """Render pixels (R,), row-major numbers, of each image; deterministic samples without a generator."""
        return self.render(self.planes(tokens), pixels, generator)

    def render(self, planes: Tensor, pixels: Tensor, generator: torch.Generator | None = None) -> Rendered:
        """The same from planes (N, 3, C, P, P)."""
        count, rays = len(planes), len(pixels)
        near, far = (planes.new_full((rays,), limit) for limit in (self.camera.near, self.camera.far))
        depths = stratified(near, far, self.samples, generator)
        features = sample_shared(planes, self.camera.points(pixels, depths).flatten(0, 1))
        sigma, colour = self.radiance(features)
        near, far = near.repeat(count), far.repeat(count)
        along = Samples(
            depths.repeat(count, 1), sigma.view(count * rays, -1), colour.view(count * rays, self.samples, 3)
        )
        if self.importance_samples:
            with torch.no_grad():  # it only says where to look closer
                first = self.composite(along, far)
                further = further_depths(first, near, far, self.importance_samples, 0, generator)
            points = self.camera.points(pixels, further.view(count, rays, -1))
            sigma, colour = self.radiance(sample_each(planes, points.flatten(1, 2)))
            more = Samples(further, sigma.view_as(further), colour.view(*further.shape, 3))
            along = merged(along, more)
        last, shape = self.composite(along, far), (count, rays)
        depth = last.depth + (1 - last.opacity) * far
        surface = (last.depth + THIN * far) / (last.opacity + THIN)
        depth, surface, opacity = (one.view(shape) for one in (depth, surface, last.opacity))
        return Rendered(last.colour.view(*shape, 3), depth, surface, opacity, along.sigma.view(*shape, -1))

    def composite(self, along: Samples, far: Tensor) -> Composite:
        """Rays whose densities are in the decoder's unit, over the background."""
        return composite(self.per_depth * along.sigma, along.colour, along.depths, far, self.background)


class ImageDecoder(nn.Module):
    """Without a triplane (section 4.4): up-sampling and convolutions from the grid of tokens to image and depth.

    Args:
        token_channels: of a patch and of the class token.
        camera: for the size and the range of depths.
        class_token: "channels" or "none", see `TokenProjection`.
        width: of the first layer.
        factor: by which the grid of tokens is enlarged, a power of two; the rest is bilinear.
    """

    camera: FixedCamera

    def __init__(
        self, token_channels: tuple[int, int], camera: FixedCamera, *, class_token: str, width: int, factor: int
    ) -> None:
        super().__init__()
        self.camera = camera
        self.project = TokenProjection(token_channels, width, class_token, "none")
        self.up = upsampling(width, 4, factor)

    def forward(self, tokens: Tokens, pixels: Tensor, generator: torch.Generator | None = None) -> Rendered:
        """Colour and depth of pixels (R,) of each image; nothing is drawn."""
        grid = self.project(tokens).mT.unflatten(2, tokens.grid)
        out = F.interpolate(self.up(grid), self.camera.size_px, mode="bilinear", align_corners=False).float()
        found = torch.sigmoid(out.flatten(2)[:, :, pixels])
        depth = self.camera.near + (self.camera.far - self.camera.near) * found[:, 3]
        return Rendered(found[:, :3].mT, depth, depth, torch.ones_like(depth), None)


class Reconstruction(nn.Module):
    """An encoder and a decoder of its tokens.

    Args:
        encoder: trained in place.
        decoder: of its tokens.
        input_px: side to which images are resized for the encoder; None: as they are.
    """

    encoder: Encoder
    decoder: TriplaneDecoder | ImageDecoder

    def __init__(self, encoder: Encoder, decoder: TriplaneDecoder | ImageDecoder, input_px: int | None) -> None:
        super().__init__()
        self.encoder, self.decoder, self.input_px = encoder, decoder, input_px

    def resized(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [0, 1] as the encoder sees them."""
        return resized(images, self.input_px)


def resized(images: Tensor, side_px: int | None) -> Tensor:
    """Images (N, 3, H, W) with sides of `side_px`; None: as they are."""
    if side_px is None:
        return images
    return F.interpolate(images, (side_px, side_px), mode="bilinear", antialias=True)
