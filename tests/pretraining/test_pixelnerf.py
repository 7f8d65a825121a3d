import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from robust3d.architectures import architecture
from robust3d.errors import UserError
from robust3d.models.encoder import Encoder
from robust3d.models.pixelnerf import Rendering
from robust3d.pretraining.pixelnerf import Params, make_task
from robust3d.pretraining.pixelnerf.task import bounding_boxes, median_background
from robust3d.seeds import torch_generator
from robust3d.training.loop import train
from robust3d.training.params import LoopParams

RESNET18 = architecture("resnet18")

torch.set_num_threads(1)
SMALL = {
    "use_first_pool": True,
    "width": 16,
    "blocks": 3,
    "activation": "softplus",
    "coarse_samples": 6,
    "importance_samples": 2,
    "depth_samples": 2,
    "near_far": "aabb",
    "batch": 3,
    "rays": 50,
    "validation_views": 1,
}


def encoder(seed=0):
    return Encoder(RESNET18, "half", seed)


def make(toy_solids, seed=0, **changes):
    return make_task(Params(**(SMALL | changes)), encoder(seed), toy_solids.train, toy_solids.held_out, seed, "cpu")


def test_boxes_enclose_their_masks():
    generator = np.random.default_rng(0)
    masks = generator.random((3, 4, 9, 12)) < 0.06
    masks[1, 2] = False
    boxes = bounding_boxes(torch.from_numpy(masks)).numpy()
    for mask, box in zip(masks.reshape(-1, 9, 12), boxes.reshape(-1, 4), strict=True):
        rows, columns = np.nonzero(mask)
        expected = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1] if len(rows) else [0, 0, 9, 12]
        assert box.tolist() == expected


def captured_rays(pretraining, step, seed=5):
    """What a training step renders: object of the batch, origins, directions; and its loss for an oracle."""
    seen = {}

    def render(scene, index, origins, directions, generator):
        seen.update(index=index, origins=origins.double(), directions=directions.double(), scene=scene)
        colour = seen["colour"](origins, directions) if "colour" in seen else torch.zeros(len(index), 3)
        colour = colour.clone().requires_grad_()
        return Rendering(colour, colour, colour[:, 0], colour[:, 0], colour[:, 0] > 0)

    pretraining.module.render = render
    return seen, lambda: pretraining.loss(step, torch_generator("step", seed))


def project_to_pixels(views, origins, directions):
    """Object, view, row and column that each ray comes from, by comparing with all cameras; numpy."""
    matrices = views.world_to_camera.double()
    centres = -(matrices[..., :3, :3].mT @ matrices[..., :3, 3:]).squeeze(-1)
    gap = (centres.flatten(0, 1)[None] - origins[:, None]).norm(dim=2)
    camera = gap.argmin(1)
    assert gap.min(1).values.max() < 1e-5
    matrix = matrices.flatten(0, 1)[camera]
    ahead = matrix @ torch.cat([origins + directions, torch.ones(len(origins), 1)], 1)[..., None].double()
    pixel = views.intrinsics.flatten(0, 1)[camera].double() @ ahead[:, :3]
    u, v = (pixel[:, :2] / pixel[:, 2:]).squeeze(2).unbind(1)
    count = matrices.shape[1]
    return camera // count, camera % count, v, u


def test_rays_pass_through_the_pixel_centres_whose_colours_they_are_compared_with(toy_solids):
    pretraining = make(toy_solids)
    seen, loss = captured_rays(pretraining, step=0)

    def oracle(origins, directions):
        owner, view, v, u = project_to_pixels(toy_solids.train, origins.double(), directions.double())
        assert ((u - 0.5).round() - (u - 0.5)).abs().max() < 1e-3
        assert ((v - 0.5).round() - (v - 0.5)).abs().max() < 1e-3
        assert (directions.norm(dim=1) - 1).abs().max() < 1e-6
        return toy_solids.train.targets[owner, view, :, v.long(), u.long()] / 255

    seen["colour"] = oracle
    total, metrics = loss()
    assert total.item() < 1e-12
    assert set(metrics) == {"mse_coarse", "mse_fine", "opacity"}
    seen["colour"] = lambda origins, directions: oracle(origins, directions) + 0.1
    assert loss()[0].item() == pytest.approx(0.02, rel=1e-3)  # coarse and fine


def test_rays_come_from_the_masks_boxes_first_and_from_everywhere_later(toy_solids):
    boxes = bounding_boxes(toy_solids.train.masks)
    inside = {}
    for step in (9, 10):
        seen, loss = captured_rays(make(toy_solids, rays=400, bbox_steps=10), step)
        loss()
        owner, view, v, u = project_to_pixels(toy_solids.train, seen["origins"], seen["directions"])
        top, left, bottom, right = boxes[owner, view].unbind(1)
        inside[step] = float(((v > top) & (v < bottom) & (u > left) & (u < right)).double().mean())
        assert len(view.unique()) == 12  # all views, the source's included
        assert (owner.reshape(3, 400) == owner.reshape(3, 400)[:, :1]).all()
    assert inside[9] == 1 and inside[10] < 0.5


def test_a_steps_loss_depends_on_its_generator_only(toy_solids):
    pretraining = make(toy_solids)
    pretraining.module.train()
    first, same, other = (pretraining.loss(3, torch_generator("step", k))[0].item() for k in (1, 1, 2))
    assert first == same != other
    assert pretraining.images_per_step == 3


def test_without_a_fine_pass_the_loss_has_one_term(toy_solids):
    total, metrics = make(toy_solids, importance_samples=0, depth_samples=0).loss(0, torch_generator("one"))
    assert total.item() == metrics["mse_coarse"].item()


def test_validation_names_its_baselines_and_repeats(toy_solids):
    pretraining = make(toy_solids, validation_objects=4)
    pretraining.module.eval()
    with torch.no_grad():
        metrics = pretraining.validate()
        assert metrics == pretraining.validate()
        objects, _, targets = pretraining._pairs(4, 1)
    truth = toy_solids.held_out.targets[objects, targets[:, 0]].double() / 255
    error = (truth - 1).square().flatten(1).mean(1)
    assert metrics["psnr_baseline"] == pytest.approx(float((-10 * error.log10()).mean()))
    assert {"opacity_iou_baseline", "opacity_baseline"} < set(metrics)
    assert pretraining.score(metrics) == metrics["psnr"]


def test_the_source_view_is_never_among_the_views_judged(toy_solids):
    _, source, targets = make(toy_solids)._pairs(6, 11)
    assert targets.shape == (6, 11)
    assert all(sorted([int(s), *t.tolist()]) == list(range(12)) for s, t in zip(source, targets, strict=True))


@pytest.mark.parametrize(("bias", "word"), [(-50.0, "empty"), (3000.0, "filled")])
def test_a_dead_field_is_called_collapsed(toy_solids, bias, word):
    pretraining = make(toy_solids, activation="relu", validation_objects=2)
    module = pretraining.module.eval()
    with torch.no_grad():
        for mlp in (module.coarse, module.fine):
            mlp.output.weight.zero_()
            mlp.output.bias[3] = bias
        metrics = pretraining.validate()
    assert word in pretraining.collapse(metrics)
    assert pretraining.collapse(metrics | {"opacity": 0.3}) is None


def test_reconstructions_stand_beside_the_truth(toy_solids):
    pretraining = make(toy_solids)
    truth, ours = pretraining.reconstructions(3)
    assert truth.shape == ours.shape == (3, 32, 32, 3) and truth.dtype == ours.dtype == np.uint8
    images = toy_solids.held_out.targets.movedim(2, -1).flatten(0, 1).numpy()
    assert all((images == one).all((1, 2, 3)).any() for one in truth)


def test_the_background_is_a_colour_or_measured(toy_solids):
    blue = torch.tensor([10, 20, 240], dtype=torch.uint8)[:, None, None]
    targets = torch.where(toy_solids.train.masks[:, :, None], toy_solids.train.targets, blue)
    views = replace(toy_solids.train, targets=targets)
    assert median_background(views) == pytest.approx((10 / 255, 20 / 255, 240 / 255))
    measured = make_task(Params(**(SMALL | {"background": None})), encoder(), views, toy_solids.held_out, 0, "cpu")
    torch.testing.assert_close(measured.module.background * 255, torch.tensor([10.0, 20.0, 240.0]))
    given = make(toy_solids, background=(0.5, 0.5, 0.0))
    torch.testing.assert_close(given.module.background, torch.tensor([0.5, 0.5, 0.0]))


def test_impossible_settings_are_refused(toy_solids):
    with pytest.raises(ValidationError, match="near"):
        Params(near=4.0, far=1.2)
    with pytest.raises(ValidationError):
        Params(num_layers=6)
    views = toy_solids.draw(3, 1, 32, seed=3)
    with pytest.raises(UserError, match="novel views"):
        make_task(Params(**SMALL), encoder(), views, views, 0, "cpu")


def test_parameters_load_without_torch():
    modules = "robust3d.pretraining.pixelnerf, robust3d.pretraining.ae, robust3d.pretraining.vae"
    check = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.slow
def test_it_learns_novel_views_of_objects_it_has_not_seen(toy_solids):
    learning = {"width": 64, "coarse_samples": 24, "importance_samples": 0, "depth_samples": 0}
    learning |= {"batch": 4, "rays": 64, "validation_views": 3}
    loop = LoopParams(steps=500, learning_rate=1e-3, validate_every=500, decay_steps=(400,))
    pretraining = make(toy_solids, **learning, loop=loop)
    result = train(pretraining, loop, seed=0).rows[-1]["validation"]
    assert result["psnr"] >= max(15, result["psnr_baseline"] + 5)
    assert result["opacity_iou"] >= max(0.7, result["opacity_iou_baseline"])
    pretraining.held_out = toy_solids.train
    with torch.no_grad():
        seen = pretraining.validate()
    assert seen["psnr"] - result["psnr"] <= 1.5
