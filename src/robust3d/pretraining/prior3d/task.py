"""3D-Prior's pre-training task: image and depth of a view from its tokens, which stay near to the start's."""

import copy
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from robust3d.data.images import ImageData
from robust3d.data.multiview import Multiview
from robust3d.data.photographs import Lazy, as_views
from robust3d.errors import UserError
from robust3d.models.encoder import Encoder, seeded_initialisation
from robust3d.models.tokens import Tokens
from robust3d.models.triplane import (
    FixedCamera,
    ImageDecoder,
    Reconstruction,
    Rendered,
    TriplaneDecoder,
    resized,
)
from robust3d.pretraining.prior3d.losses import augmented, density, distillation, error
from robust3d.pretraining.prior3d.params import Params
from robust3d.pretraining.prior3d.statistics import settle
from robust3d.seeds import torch_generator
from robust3d.training.draws import integers
from robust3d.training.metrics import deviation, one_image, psnr
from robust3d.training.views import ViewPretraining, median_background

GREY = (0.5, 0.5, 0.5)  # behind pictures: there is something in every pixel
MARGIN = 0.05  # of the range of depths, before the nearest and behind the farthest
CHUNK = 16  # images at once in validation; memory only
BASELINE_VIEWS = 1024  # evenly spaced training views, of which the mean image and the mean depth are taken
MEASURED_VIEWS = 1024  # evenly spaced training views, on which statistics of batch norms are measured
TRIPLANE_KEYS = {  # parameters of its decoder
    "class_token", "positions", "width", "heads", "blocks", "self_attention", "query_px", "plane_px", "channels",
    "hidden", "samples", "importance_samples", "density_unit",
}  # fmt: skip


class Prior3dPretraining(ViewPretraining):
    """Trains encoder and decoder to reconstruct random views, each from itself alone.

    Args:
        params: of the method.
        encoder: its start; trained in place.
        train: training views, or pictures, with depth.
        held_out: of other instances, for validation and reconstructions.
        seed: of the decoder's weights and of the validation's views.
        device: where all of it goes.

    Raises:
        UserError: views without depth; fewer objects than asked for; or batch norms without statistics that are to
            be frozen.
    """

    params: Params
    module: Reconstruction

    def __init__(
        self,
        params: Params,
        encoder: Encoder,
        train: Multiview | ImageData,
        held_out: Multiview | ImageData,
        seed: int,
        device: torch.device | str,
    ) -> None:
        views = [as_views(data, params.fov_deg) if isinstance(data, ImageData) else data for data in (train, held_out)]
        super().__init__(params, encoder, views[0], views[1], seed, device)

    def check_views(self) -> None:
        """Take the objects that are asked for; refuse views of unknown depth."""
        if self.params.objects is not None:
            if self.params.objects > len(self.train):
                raise UserError(f"objects: {self.params.objects} asked for, and the training set has {len(self.train)}")
            self.train = self.train.subset(self.params.objects)
        if not any(bool(torch.isfinite(self.train.depth[row]).any()) for row in range(len(self.train))):
            raise UserError("3D-Prior learns from depth, and these views have none. Render them, or give depth maps.")
        if self.params.batch_norms != "batch":
            images = resized(self.train.inputs[self._evenly(MEASURED_VIEWS)] / 255, self.params.input_px)
            settle(
                self.encoder.to(self.device), (255 * images).round().byte(), self.params.batch_norms, self.params.batch
            )

    def build(self) -> Reconstruction:
        """The decoder around the encoder, and the frozen copy of the start."""
        params, channels = self.params, self.encoder.architecture.token_channels
        self.teacher = copy.deepcopy(self.encoder).to(self.device).eval().requires_grad_(False)
        near, far = params.depth_range or depth_range(self.train)
        intrinsics = self.train.intrinsics.flatten(0, 1).double().mean(0)
        height, width = self.train.masks.shape[-2:]
        camera = FixedCamera(intrinsics, (height, width), near, far)
        decoder: TriplaneDecoder | ImageDecoder
        with seeded_initialisation(self.seed, "prior3d"):
            if params.decoder == "convolutional":
                decoder = ImageDecoder(
                    channels, camera, class_token=params.class_token, width=params.width, factor=params.upscale
                )
            else:
                background = params.background or (
                    GREY if isinstance(self.train.inputs, Lazy) else median_background(self.train)
                )
                sizes = params.model_dump(include=TRIPLANE_KEYS)
                decoder = TriplaneDecoder(channels, camera, background, **sizes)
        return Reconstruction(self.encoder, decoder, params.input_px)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the losses (equation 5, and ours) over a batch of views drawn with replacement."""
        params, height_width = self.params, self.train.masks.shape[-2:]
        if params.batch_norms != "batch":
            self.encoder.eval()
        inputs, targets, depth = self.draw(generator)
        pixels = self._pixels(int(np.prod(height_width)), generator)
        images = self.module.resized(inputs)
        tokens = self.encoder.tokens(images)
        found: Rendered = self.module.decoder(tokens, pixels, generator)
        there = depth.flatten(1)[:, pixels]
        truth, known = self._target_depth(there)
        losses = {
            "rgb": error(found.colour, targets.flatten(2)[:, :, pixels].mT, params.error),
            "depth": error(found.depth, truth, params.error, known),
            "surface": error(found.surface, truth, params.error, torch.isfinite(there)),
            "density": density(found.density, params.density_term, found.depth),
            "distillation": self._distillation(images, tokens),
        }
        total = torch.stack([getattr(params, f"{name}_weight") * loss for name, loss in losses.items()]).sum()
        scalars = {name: loss.detach() for name, loss in losses.items()}
        return total, {**scalars, "opacity": found.opacity.detach().mean()}

    def parts(self) -> list[tuple[nn.Module, float]]:
        """The encoder with a rate of its own, and the decoder."""
        return [(self.encoder, self.params.encoder_rate), (self.module.decoder, 1.0)]

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Augmented inputs and targets in [0, 1], (batch, 3, H, W), and their depth (batch, H, W)."""
        objects, views = self.train.masks.shape[:2]
        chosen = integers(objects * views, (self.params.batch,), generator, self.device)
        row, view = chosen // views, chosen % views
        pictures = [self.train.inputs[row, view] / 255]
        if self.train.targets is not self.train.inputs:
            pictures.append(self.train.targets[row, view] / 255)
        depth = self.train.depth[row, view]
        pictures, depth = augmented(pictures, depth, self.params.crop, self.params.flip, generator)
        return pictures[0], pictures[-1], depth

    def validate(self) -> dict[str, float]:
        """Held-out image and depth, and how far the representation is from its start.

        In the units of the views: `depth_rmse` is of all pixels that have a target, `depth_mae` of the objects' alone,
        and of what a ray meets, as its baseline, the mean depth of objects there, is that of an object.
        Further baselines: at each pixel the mean training image and the mean target.
        `spread`: the standard deviation of the reconstructions over images divided by the targets'.
        """
        inputs, targets, depth = self._validation_views
        colour, found, surface, apart = self._reconstruct(inputs)
        truth, known = targets.movedim(1, 3) / 255, torch.isfinite(depth)
        if not known.any():
            raise UserError("3D-Prior is validated on depth, and the held-out views have none")
        mean_image, mean_depth, mean_target = self._means
        wanted, counts = self._target_depth(depth)
        return {
            "psnr": psnr(colour, truth),
            "psnr_baseline": psnr(mean_image.expand_as(truth), truth),
            "depth_rmse": float((found - wanted)[counts].square().mean().sqrt()),
            "depth_rmse_baseline": float((mean_target.expand_as(depth) - wanted)[counts].square().mean().sqrt()),
            "depth_mae": float((surface - depth)[known].abs().mean()),
            "depth_mae_baseline": float((mean_depth.expand_as(depth) - depth)[known].abs().mean()),
            "distillation": apart,
            "spread": deviation(colour) / max(deviation(truth), 1e-12),
        }

    def collapse(self, validation: dict[str, float]) -> str | None:
        """Collapsed when every held-out image has nearly the same reconstruction."""
        return one_image(validation["spread"])

    def score(self, validation: dict[str, float]) -> float:
        """Held-out PSNR."""
        return validation["psnr"]

    def reconstructions(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Image and depth map in turn, of n / 2 held-out views, true and reconstructed: uint8 (n, H, W, 3).

        Depth is white at the camera's near end and black at the far one.
        """
        inputs, targets, depth = (part[: -(-n // 2)] for part in self._validation_views)
        with self.in_eval_mode():
            colour, found, _, _ = self._reconstruct(inputs)
        camera = self.module.decoder.camera
        rows = []
        for image, z in ((targets.movedim(1, 3) / 255, depth), (colour, found)):
            shade = 1 - (torch.nan_to_num(z, nan=camera.far, posinf=camera.far) - camera.near) / (
                camera.far - camera.near
            )
            both = torch.stack([image, shade[..., None].expand_as(image)], dim=1).flatten(0, 1)[:n]
            rows.append(both.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy())
        return rows[0], rows[1]

    def _evenly(self, most: int) -> tuple[Tensor, Tensor]:
        """Rows and views of at most so many evenly spaced training views."""
        objects, views = self.train.masks.shape[:2]
        number = torch.arange(0, objects * views, -(-objects * views // most), device=self.device)
        return number // views, number % views

    def _pixels(self, count: int, generator: torch.Generator) -> Tensor:
        """The numbers of the pixels to render, the same for all images of a step."""
        if self.params.rays is None or self.params.rays >= count:
            return torch.arange(count, device=self.device)
        order = torch.randperm(count, generator=generator, device=generator.device)[: self.params.rays]
        return order.to(self.device)

    def _target_depth(self, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Depth to reconstruct, of the same shape, and where it is known."""
        empty = torch.isposinf(depth)
        far = self.module.decoder.camera.far
        known = torch.isfinite(depth) | (empty if self.params.background_depth == "far" else torch.zeros_like(empty))
        return torch.nan_to_num(depth, nan=far, posinf=far), known

    def _distillation(self, images: Tensor, tokens: Tokens) -> Tensor:
        """Distance to the start's representation; it is not computed where it has no weight."""
        if not self.params.distillation_weight:
            return torch.zeros((), device=self.device)
        with torch.no_grad():
            teachers = self.teacher.tokens(images)
        return distillation(tokens, teachers, self.params.distil, self.params.error)

    def _reconstruct(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
        """Colour (N, H, W, 3), depth and surface (N, H, W), distance to the start, of uint8 images (N, 3, H, W)."""
        height, width = inputs.shape[-2:]
        pixels = torch.arange(height * width, device=self.device)
        colours, depths, surfaces, apart = [], [], [], 0.0
        for chunk in inputs.split(CHUNK):
            images = self.module.resized(chunk / 255)
            tokens = self.encoder.tokens(images)
            found: Rendered = self.module.decoder(tokens, pixels)
            colours.append(found.colour.unflatten(1, (height, width)))
            depths.append(found.depth.unflatten(1, (height, width)))
            surfaces.append(found.surface.unflatten(1, (height, width)))
            distance = distillation(tokens, self.teacher.tokens(images), self.params.distil, self.params.error)
            apart += float(distance) * len(chunk)
        return torch.cat(colours), torch.cat(depths), torch.cat(surfaces), apart / len(inputs)

    @cached_property
    def _validation_views(self) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs and targets, uint8 (N, 3, H, W), and depth (N, H, W), of random held-out views; deterministic."""
        objects, views = self.held_out.masks.shape[:2]
        generator = torch_generator(self.seed, "prior3d", "validation")
        chosen = torch.randperm(objects * views, generator=generator)[: self.params.validation_images].to(self.device)
        row, view = chosen // views, chosen % views
        return self.held_out.inputs[row, view], self.held_out.targets[row, view], self.held_out.depth[row, view]

    @cached_property
    def _means(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of training views: mean image (H, W, 3) in [0, 1], mean depth of objects and mean target (H, W)."""
        some = self._evenly(BASELINE_VIEWS)
        depth = self.train.depth[some]
        images = self.train.targets[some].double().mean(0).movedim(0, 2) / 255
        target, counts = self._target_depth(depth)
        return images.float(), _mean_where(torch.isfinite(depth), depth), _mean_where(counts, target)


def _mean_where(counts: Tensor, values: Tensor) -> Tensor:
    """Mean over images (N, H, W) of the values that count, and that of the whole where none does, (H, W)."""
    total = torch.where(counts, values.double(), 0.0)
    mean = total.sum(0) / counts.sum(0).clamp(min=1)
    return torch.where(counts.any(0), mean, total.sum() / counts.sum().clamp(min=1)).float()


def depth_range(views: Multiview) -> tuple[float, float]:
    """Near and far of the camera: the known depths and a margin, nearer than the camera never."""
    known = [depth[torch.isfinite(depth)] for depth in (views.depth[row] for row in range(len(views)))]
    limits = [(float(depth.min()), float(depth.max())) for depth in known if len(depth)]
    nearest, farthest = min(low for low, _ in limits), max(high for _, high in limits)
    margin = MARGIN * max(farthest - nearest, 1e-3)
    return max(nearest - margin, 1e-3), farthest + margin
