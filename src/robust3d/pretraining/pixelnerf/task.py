"""pixelNeRF as a pre-training task: rays of random views, conditioned on one source view per object.

Unlike in the reference code, rays pass through pixel centres, gathered by index from images in memory.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from robust3d.data.multiview import Multiview
from robust3d.errors import UserError
from robust3d.models.implicit import pixel_rays
from robust3d.models.pixelnerf import PixelNerf, Scene
from robust3d.models.volume_rendering import uniform
from robust3d.pretraining.pixelnerf.params import Params
from robust3d.seeds import torch_generator
from robust3d.training.draws import integers
from robust3d.training.metrics import best_constant_mask, mask_iou, psnr
from robust3d.training.planes import check_cube, check_planes
from robust3d.training.views import ViewPretraining, median_background

CHUNK_SAMPLES = 65_536  # points per call in validation; affects memory only
BASELINE_MASKS = 1024  # evenly spaced training masks, from which the best constant mask is computed


class Novel(NamedTuple):
    """Rendered held-out views and the true ones."""

    colour: Tensor  # (N, H, W, 3) in [0, 1]
    opacity: Tensor  # (N, H, W)
    meets: Tensor  # (N, H, W) bool, where the field was rendered
    truth: Tensor  # (N, H, W, 3) uint8
    mask: Tensor  # (N, H, W) bool


def bounding_boxes(masks: Tensor) -> Tensor:
    """Half-open (top, left, bottom, right) of masks (..., H, W), (..., 4); the image if a mask is empty."""

    def span(present: Tensor) -> tuple[Tensor, Tensor]:
        size = present.shape[-1]
        first = present.int().argmax(-1)
        after = size - present.flip(-1).int().argmax(-1)
        return first, after

    (top, bottom), (left, right) = span(masks.any(-1)), span(masks.any(-2))
    return torch.stack([top, left, bottom, right], dim=-1)


class PixelNerfPretraining(ViewPretraining):
    """Trains encoder and radiance field on rays of all views of a few objects per step.

    Args:
        params: of the method.
        encoder: trained in place.
        train: training views; the same number of views of every object, at least two.
        held_out: views of other instances, for validation and reconstructions.
        seed: of all initial weights but the encoder's, and of the validation views.
        device: of module and data.

    Raises:
        UserError: objects have a single view, so there is no novel one; or they are outside the sampled range.
    """

    params: Params
    module: PixelNerf

    def check_views(self) -> None:
        """Refuse objects of one view, and objects outside the sampled range of rays."""
        if self.held_out.masks.shape[1] < 2:
            raise UserError("pixelNeRF is validated on novel views and the objects have one. Render two or more.")
        if self.params.near_far == "fixed":
            check_planes(self.params.near, self.params.far, self.train, self.held_out)
        else:
            check_cube(0.5, self.train, self.held_out)

    def build(self) -> PixelNerf:
        """The field on the encoder."""
        params = self.params
        self.boxes = bounding_boxes(self.train.masks)
        return PixelNerf(
            self.encoder,
            num_layers=params.num_layers,
            use_first_pool=params.use_first_pool,
            width=params.width,
            blocks=params.blocks,
            activation=params.activation,
            coarse_samples=params.coarse_samples,
            importance_samples=params.importance_samples,
            depth_samples=params.depth_samples,
            share_mlp=params.share_mlp,
            near_far=(params.near, params.far) if params.near_far == "fixed" else None,
            background=params.background or median_background(self.train),
            seed=self.seed,
        )

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared errors of coarse and fine colours over `batch` objects with `rays` rays each."""
        objects, views = self.train.masks.shape[:2]
        batch, rays = self.params.batch, self.params.rays
        chosen = integers(objects, (batch,), generator, self.device)
        source = integers(views, (batch,), generator, self.device)
        scene = self._scene(self.train, chosen, source)
        target = integers(views, (batch, rays), generator, self.device).flatten()
        index = torch.arange(batch, device=self.device).repeat_interleave(rays)
        owner = chosen[index]
        rows, columns = self._pixels(owner, target, step, generator)
        truth = self.train.targets[owner, target, :, rows, columns] / 255
        origins, directions = self._rays(self.train, owner, target, rows, columns)
        rendering = self.module.render(scene, index, origins, directions, generator)
        coarse, fine = F.mse_loss(rendering.coarse, truth), F.mse_loss(rendering.fine, truth)
        # without a fine pass both colours are the coarse pass's, and the loss has one term
        total = coarse + fine if self.module.fine_pass else coarse
        opacity = rendering.opacity.detach().mean()
        return total, {"mse_coarse": coarse.detach(), "mse_fine": fine.detach(), "opacity": opacity}

    def validate(self) -> dict[str, float]:
        """PSNR, opacity IoU and mean opacity on novel views of held-out objects.

        Baselines: an image of background only; the best constant mask of the training objects; for the mean
        opacity of the rays that meet the field's domain, the fraction of them that meet the object.
        """
        novel = self._novel_views(*self._pairs(self.params.validation_objects, self.params.validation_views))
        truth = novel.truth / 255
        masks = self.train.masks.flatten(0, 1)
        constant = best_constant_mask(masks[:: -(-len(masks) // BASELINE_MASKS)])
        return {
            "psnr": psnr(novel.colour, truth),
            "psnr_baseline": psnr(self.module.background.expand_as(truth), truth),
            "opacity_iou": mask_iou(novel.opacity > 0.5, novel.mask),
            "opacity_iou_baseline": mask_iou(constant.expand_as(novel.mask), novel.mask),
            "opacity": float(novel.opacity[novel.meets].double().mean()),
            "opacity_baseline": float(novel.mask[novel.meets].double().mean()),
        }

    def collapse(self, validation: dict[str, float]) -> str | None:
        """Collapsed when the held-out views are empty or filled."""
        if 0.01 <= validation["opacity"] <= 0.99:
            return None
        what = "empty" if validation["opacity"] < 0.5 else "filled"
        return f"the field has collapsed: held-out views are {what}, mean opacity {validation['opacity']:.2g}"

    def score(self, validation: dict[str, float]) -> float:
        """Held-out PSNR."""
        return validation["psnr"]

    def reconstructions(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """True and rendered images of one novel view each of n held-out objects, uint8 (n, H, W, 3)."""
        with self.in_eval_mode():
            novel = self._novel_views(*self._pairs(n, 1))
        return novel.truth.cpu().numpy(), novel.colour.mul(255).round().to(torch.uint8).cpu().numpy()

    def _pixels(self, objects: Tensor, views: Tensor, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A random row and column (N,) in each view, inside the mask's bounding box until `bbox_steps`."""
        draw = uniform((2, len(objects)), generator, self.module.background)
        if step < self.params.bbox_steps:
            top, left, bottom, right = self.boxes[objects, views].unbind(1)
        else:
            top = left = torch.zeros_like(objects)
            bottom, right = (torch.full_like(objects, size) for size in self.train.masks.shape[2:])
        row = top + (draw[0] * (bottom - top)).long()
        column = left + (draw[1] * (right - left)).long()
        return torch.minimum(row, bottom - 1), torch.minimum(column, right - 1)  # float32 may round up to the border

    def _scene(self, views: Multiview, objects: Tensor, source: Tensor) -> Scene:
        """Encode one view (B,) of each object (B,)."""
        images = views.inputs[objects, source] / 255
        return self.module.encode(images, views.world_to_camera[objects, source], views.intrinsics[objects, source])

    @staticmethod
    def _rays(views: Multiview, objects: Tensor, view: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Origins and unit directions (N, 3) through pixel centres."""
        width = views.masks.shape[-1]
        pixels = (rows * width + columns)[:, None]
        origins, directions = pixel_rays(
            views.world_to_camera[objects, view], views.intrinsics[objects, view], pixels, width
        )
        return origins.squeeze(1), F.normalize(directions.squeeze(1), dim=1)

    def _pairs(self, objects: int, targets: int) -> tuple[Tensor, Tensor, Tensor]:
        """Up to `objects` held-out objects (B,), source view (B,) and other views (B, T); deterministic."""
        count, views = self.held_out.masks.shape[:2]
        generator = torch_generator(self.seed, "pixelnerf", "validation")
        order = torch.randperm(count, generator=generator)[:objects]
        ranking = torch.rand((count, views), generator=generator)[: len(order)].argsort(1)
        ranking = ranking.to(self.device)
        return order.to(self.device), ranking[:, 0], ranking[:, 1 : 1 + targets]

    def _novel_views(self, objects: Tensor, source: Tensor, targets: Tensor) -> Novel:
        """Render views (B, T) of held-out objects (B,) from their source views (B,), one object at a time."""
        owner, view = objects.repeat_interleave(targets.shape[1]), targets.flatten()
        renderings = []
        for number in range(len(objects)):
            scene = self._scene(self.held_out, objects[number : number + 1], source[number : number + 1])
            renderings += [self._render_view(scene, objects[number], target) for target in targets[number]]
        colour, opacity, meets = (torch.stack(tensors) for tensors in zip(*renderings, strict=True))
        truth = self.held_out.targets[owner, view].movedim(1, -1)
        size = truth.shape[1:3]
        return Novel(
            colour.unflatten(1, size),
            opacity.unflatten(1, size),
            meets.unflatten(1, size),
            truth,
            self.held_out.masks[owner, view],
        )

    def _render_view(self, scene: Scene, owner: Tensor, view: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Colour (H * W, 3), opacity (H * W,) and whether the field was rendered, of one held-out view."""
        height, width = self.held_out.masks.shape[2:]
        pixels = torch.arange(height * width, device=self.device)
        per_ray = self.params.coarse_samples + self.params.importance_samples + self.params.depth_samples
        parts = []
        for chunk in pixels.split(max(1, CHUNK_SAMPLES // per_ray)):
            rows, columns = chunk // width, chunk % width
            origins, directions = self._rays(
                self.held_out, owner.expand_as(chunk), view.expand_as(chunk), rows, columns
            )
            rendering = self.module.render(scene, torch.zeros_like(chunk), origins, directions)
            parts.append((rendering.fine, rendering.opacity, rendering.meets))
        colour, opacity, meets = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        return colour, opacity, meets
