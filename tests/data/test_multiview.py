"""Multi-view data: which objects, in which order, unit-cube lengths that keep the projection, backgrounds."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from robust3d.data.multiview import Multiview, load_multiview
from robust3d.data.params import BackgroundParams, SetParams, TextureParams
from robust3d.data.procedural_textures import make_textures
from robust3d.data.sets import draw_set, load_set

torch.set_num_threads(1)

CLASSES = ("cone", "arch", "horn")
IDS = ("a", "b", "c", "d", "e")
VIEWS, SIZE, EXTENT = 4, 10, 1.5
BLACK, TEXTURED = BackgroundParams(), BackgroundParams(kind="textured")
CORRELATED = BackgroundParams(kind="correlated", mapping=("grid", "banded", "striped"))


@pytest.fixture(scope="module")
def textures():
    names = ("grid", "banded", "striped")
    return make_textures(TextureParams(classes=names, images_per_class=4, resolution_px=16), 0)


@pytest.fixture(scope="module")
def frames():
    """Random frames in random order, their cameras rotations by random quaternions."""
    rng = np.random.default_rng(0)
    keys = [(c, i, v) for c in CLASSES for i in IDS for v in range(VIEWS)]
    keys = [keys[k] for k in rng.permutation(len(keys))]
    n = len(keys)
    rotation = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    world_to_camera = np.tile(np.eye(4), (n, 1, 1))
    world_to_camera[:, :3, :3] = rotation * np.linalg.det(rotation)[:, None, None]
    world_to_camera[:, :3, 3] = np.array([0, 0, 2.7]) + rng.normal(0, 0.1, (n, 3))
    class_name, instance, view = (np.array(column) for column in zip(*keys, strict=True))
    depth = rng.uniform(2, 4, (n, SIZE, SIZE)).astype(np.float32)
    mask = rng.random((n, SIZE, SIZE)) < 0.5
    rgba = rng.integers(0, 256, (n, SIZE, SIZE, 4), dtype=np.uint8)
    rgba[..., 3] = 255 * mask
    return SimpleNamespace(
        rgba=rgba,
        mask=mask,
        depth=np.where(mask, depth, np.float32(np.inf)),
        world_to_camera=world_to_camera,
        intrinsics=np.tile([[20.0, 0, 5], [0, 20, 5], [0, 0, 1]], (n, 1, 1)),
        class_name=class_name,
        instance=instance,
        view=view,
        extent=EXTENT,
    )


def load(frames, textures, inputs=BLACK, targets=BLACK, ids=("c", "a"), **changes) -> Multiview:
    objects = {name: ids for name in CLASSES} | changes.pop("objects", {})
    halves = frames.view < 2  # two parts, so that every object is in both
    parts = [
        SimpleNamespace(**{k: v[chosen] if isinstance(v, np.ndarray) else v for k, v in vars(frames).items()})
        for chosen in (halves, ~halves)
    ]
    return load_multiview(parts, objects, CLASSES, VIEWS, SIZE, inputs, targets, textures, 0, **changes)


def position(frames, class_name: str, instance: str, view: int) -> int:
    found = (frames.class_name == class_name) & (frames.instance == instance) & (frames.view == view)
    return int(np.flatnonzero(found)[0])


def test_objects_are_those_of_the_split_balanced_over_classes_with_all_views_in_order(frames, textures):
    data = load(frames, textures)
    assert data.names == ["cone/a", "arch/a", "horn/a", "cone/c", "arch/c", "horn/c"]
    assert data.class_index.tolist() == [0, 1, 2, 0, 1, 2] and data.class_index.dtype == torch.int64
    assert len(data) == 6
    for o, name in enumerate(data.names):
        for v in range(VIEWS):
            i = position(frames, *name.split("/"), v)
            assert np.array_equal(data.masks[o, v].numpy(), frames.mask[i])
            shown = data.inputs[o, v].permute(1, 2, 0).numpy()
            assert np.array_equal(shown, np.where(frames.mask[i][..., None], frames.rgba[i, ..., :3], 0))


def test_types_and_shapes_are_the_contracts(frames, textures):
    data = load(frames, textures)
    for name, dtype, shape in (
        ("inputs", torch.uint8, (6, VIEWS, 3, SIZE, SIZE)),
        ("targets", torch.uint8, (6, VIEWS, 3, SIZE, SIZE)),
        ("masks", torch.bool, (6, VIEWS, SIZE, SIZE)),
        ("depth", torch.float32, (6, VIEWS, SIZE, SIZE)),
        ("world_to_camera", torch.float32, (6, VIEWS, 4, 4)),
        ("intrinsics", torch.float32, (6, VIEWS, 3, 3)),
    ):
        tensor = getattr(data, name)
        assert tensor.dtype == dtype and tensor.shape == shape, name


def test_unit_cube_lengths_back_project_to_the_world_points_over_the_extent(frames, textures):
    data = load(frames, textures)
    row, column = np.indices((SIZE, SIZE))
    pixels = np.stack([column + 0.5, row + 0.5, np.ones_like(row)], -1).reshape(-1, 3)

    def points(depth, world_to_camera, intrinsics, mask):
        camera = (np.linalg.inv(intrinsics) @ pixels.T).T * depth.reshape(-1, 1)
        world = (camera - world_to_camera[:3, 3]) @ world_to_camera[:3, :3]
        return world[mask.ravel()]

    for o, name in enumerate(data.names):
        for v in range(VIEWS):
            i = position(frames, *name.split("/"), v)
            mask = frames.mask[i]
            world = points(np.where(mask, frames.depth[i], 0), frames.world_to_camera[i], frames.intrinsics[i], mask)
            depth = np.where(mask, data.depth[o, v].numpy(), 0)
            ours = points(depth, data.world_to_camera[o, v].numpy(), data.intrinsics[o, v].numpy(), mask)
            assert np.abs(ours * EXTENT - world).max() < 1e-5
            assert np.isinf(data.depth[o, v].numpy()[~mask]).all()
    assert frames.world_to_camera[:, 2, 3].max() > 2.5  # the frames themselves are left as they were


def test_input_and_target_backgrounds_are_named_apart_and_share_one_tensor_when_equal(frames, textures):
    same, mixed = load(frames, textures, TEXTURED, TEXTURED), load(frames, textures, TEXTURED, BLACK)
    assert same.targets is same.inputs and same.to("cpu").targets is not None
    assert torch.equal(mixed.inputs, same.inputs)
    assert torch.equal(mixed.targets, load(frames, textures).inputs)
    outside = ~mixed.masks[:, :, None].expand_as(mixed.inputs)
    assert (mixed.targets[outside] == 0).all() and (mixed.inputs[outside] > 0).any()


def test_backgrounds_are_deterministic_differ_by_view_and_are_those_of_the_classification_set(frames, textures):
    data = load(frames, textures, TEXTURED, TEXTURED)
    assert torch.equal(data.inputs, load(frames, textures, TEXTURED, TEXTURED, ids=("a", "c")).inputs)
    outside = ~(data.masks[0, 0] | data.masks[0, 1])
    assert not torch.equal(data.inputs[0, 0][:, outside], data.inputs[0, 1][:, outside])
    splits = {"train": ("a", "b", "c"), "val": ("d",), "test": ("e",)}
    held = {split: {name: ids for name in CLASSES} for split, ids in splits.items()}
    table = draw_set(held, CLASSES, VIEWS, SetParams(images=(36, 12, 12), background=CORRELATED), textures, 0)
    for split, ids in splits.items():
        views = load(frames, textures, CORRELATED, BLACK, ids=ids, split=split)
        rows = table[table["split"] == split]
        images, labels = load_set(rows, frames, textures, CORRELATED, CLASSES)
        for image, label, name, view in zip(images, labels, rows["class_name"] + "/" + rows["instance"], rows["view"]):
            o = views.names.index(name)
            assert torch.equal(views.inputs[o, view], image) and views.class_index[o] == label


def test_subset_and_to(frames, textures):
    data = load(frames, textures, TEXTURED, TEXTURED)
    few = data.subset(3)
    assert len(few) == 3 and few.class_index.tolist() == [0, 1, 2] and few.inputs.shape[0] == few.depth.shape[0] == 3
    assert few.targets is few.inputs
    assert data.to("meta").inputs.device.type == "meta" and data.to("meta").names == data.names


def test_missing_frames_are_programming_errors(frames, textures):
    with pytest.raises(ValueError, match="no frame of cone z"):
        load(frames, textures, ids=("z",))
    keep = ~((frames.instance == "b") & (frames.view == 2) & (frames.class_name == "horn"))
    cut = SimpleNamespace(**{k: v[keep] if isinstance(v, np.ndarray) else v for k, v in vars(frames).items()})
    with pytest.raises(ValueError, match="no frame of horn b, view 2"):
        load(cut, textures, ids=("a", "b"))


def test_classes_alternate_as_long_as_they_last(frames, textures):
    data = load(frames, textures, objects={"cone": ("b", "a", "e"), "arch": ("d",), "horn": ("a", "c")})
    assert data.names == ["cone/a", "arch/d", "horn/a", "cone/b", "horn/c", "cone/e"]
    assert data.class_index.tolist() == [0, 1, 2, 0, 2, 0]


def test_mapped_files_and_pixels_on_the_host_hold_the_same(frames, textures, tmp_path, monkeypatch):
    plain = load(frames, textures, TEXTURED, BLACK)
    monkeypatch.setattr("robust3d.data.multiview.IN_MEMORY_BYTES", 0)
    mapped = load(frames, textures, TEXTURED, BLACK, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "train-depth.npy", "train-inputs.npy", "train-masks.npy", "train-targets.npy",
    ]  # fmt: skip
    hosted = mapped.to("cpu", room_bytes=1)
    objects, view = torch.tensor([3, 0, 5]), torch.tensor([1, 1, 0])
    pixels = torch.tensor([[0, 7, 99], [1, 2, 3], [50, 51, 52]])
    for name in ("inputs", "targets", "masks", "depth"):
        whole, there = getattr(plain, name), getattr(hosted, name)
        assert torch.equal(whole, getattr(mapped, name))
        assert torch.equal(there[objects, view], whole[objects, view]) and there.shape == whole.shape
    chosen = objects[:, None], view[:, None], pixels
    expected = plain.targets.flatten(3).movedim(2, 3)[chosen]
    assert torch.equal(hosted.targets.flatten(3).movedim(2, 3)[chosen], expected)
    assert isinstance(hosted.world_to_camera, torch.Tensor)
    assert mapped.to("cpu", room_bytes=1 << 30).inputs.device.type == "cpu"
