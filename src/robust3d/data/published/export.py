"""Writes a family's views in the layouts that other people's code reads: DVR's and SRN's.

Both lists of files, and what their readers make of them, are described in README.md of the exported folder. The
world is scaled so that every object lies in [-0.5, 0.5]^3, for pixelNeRF ignores DVR's scale_mat, which is the
identity; and further, so that the objects lie between the planes from which pixelNeRF samples rays (`scaling`).
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from robust3d.cameras import rays, to_dvr, to_srn
from robust3d.data.blank import why_blank
from robust3d.data.compositing import compose
from robust3d.data.frame import Frame
from robust3d.data.params import SPLITS
from robust3d.data.published.archives import new_folder
from robust3d.data.published.numbering import Note, shortened, to_stderr
from robust3d.data.published.scaling import FILE, Format, Scale, record, scales_of
from robust3d.errors import UserError
from robust3d.progress import ProgressLine

if TYPE_CHECKING:
    from robust3d.data.manifest import Views
    from robust3d.data.shards import Frames

_README = {
    "dvr": """\
Views in the layout of DVR (autonomousvision/differentiable_volumetric_rendering), readable by pixelNeRF as well.

<class>/<object>/image/NNNN.png              RGB on white
<class>/<object>/mask/NNNN.png               255 where the ray through the pixel's centre hits the object
<class>/<object>/depth/NNNN.exr              float32 camera z of the surface, inf at the background and where unknown
<class>/<object>/visual_hull_depth/NNNN.exr  the same of the visual hull of all masks (no 3D supervision in it)
<class>/<object>/cameras.npz                 for view i: world_mat_i, camera_mat_i, scale_mat_i (4x4) and *_inv_i
<class>/softras_{train,val,test}.lst         object ids, one a line
metadata.yaml                                names of the classes (JSON)
scale.json                                   how lengths are scaled, as below

image point = camera_mat @ world_mat @ scale_mat @ (X, 1); divided by its third coordinate it lies in [-1, 1], with
(-1, -1) at the top left corner of the top left pixel, x right, y down. Cameras look along +z. The world's y points
up and objects lie in [-0.5, 0.5]^3. The centre of pixel (row r, column c) of a W x W image is
(-1 + (2 c + 1) / W, -1 + (2 r + 1) / W). scale_mat is the identity.

The planes between which pixelNeRF's loader samples rays, and the scale from the family's cube of side 1 that brings
objects between them; translations of cameras and depths are multiplied by it:
""",
    "srn": """\
Views in the layout of Scene Representation Networks (vsitzmann/scene-representation-networks).

<class>_{train,val,test}/<object>/rgb/NNNNNN.png   RGB on white; what is not white is the object
<class>_{train,val,test}/<object>/pose/NNNNNN.txt  4x4 camera-to-world, OpenCV axes: x right, y down, z forward
<class>_{train,val,test}/<object>/intrinsics.txt   first line: f cx cy 0. in pixels; last line: height width
scale.json                                         how lengths are scaled, as below

The centre of pixel (row r, column c) is the image point (c + 0.5, r + 0.5). The world's y points up.

The planes between which pixelNeRF's loader samples rays (those of the published chairs if "chair" is in the name of
the class, else those of the cars), and the scale from the family's cube of side 1 that brings objects between them;
translations of cameras are multiplied by it:
""",
}


def export_views(
    views: "Views",
    folder: str | Path,
    format: Format,
    splits: Sequence[str] | None = None,
    visual_hull: bool = True,
    note: Note = to_stderr,
) -> int:
    """Write a family in another layout, shard by shard; the folder appears when it is complete.

    Args:
        views: the family's manifest.
        folder: new or empty.
        format: "dvr" or "srn".
        splits: which parts; None: all there are. A family without a division is written as "train".
        visual_hull: also write the depth of the visual hull, which DVR's configurations for images without depth
            ask for (depth_from_visual_hull); only for "dvr".
        note: is called with how lengths are scaled, which views are blank and which objects have no depth/ because it
            is not known; README.md of the folder says it too.

    Returns:
        Number of objects.

    Raises:
        UserError: the folder is in use, a part is unknown, or a shard is missing or damaged.
    """
    parts = _parts(views, splits)
    part_of = {instance: part for part, ids in parts.items() for instance in ids}
    with new_folder(Path(folder)) as hidden:
        looked_at = ProgressLine(f"range of {views.family}", unit="objects").count(_objects(views, part_of))
        scales = scales_of(format, looked_at)
        objects = 0
        flat: list[str] = []
        blank: list[str] = []
        for class_name, frames in ProgressLine(f"export {views.family}", unit="objects").count(
            _objects(views, part_of)
        ):
            objects += 1
            instance, scale = frames[0].instance, scales[class_name].scale
            blank += [f"{class_name}/{instance} view {frame.view}" for frame in frames if why_blank(frame.mask)]
            if format == "dvr":
                _write_dvr(hidden / class_name / instance, frames, visual_hull, scale)
                flat += [] if depth_is_known(frames) else [f"{class_name}/{instance}"]
            else:
                _write_srn(hidden / f"{class_name}_{part_of[instance]}" / instance, frames, scale)
        if format == "dvr":
            _write_lists(hidden, views.classes, parts)
        notes = []
        if flat:
            notes.append(
                f"{len(flat):,} of {objects:,} objects have no depth/, because it is unknown: {shortened(flat)}"
            )
        if blank:
            notes.append(
                f"{len(blank):,} of {objects * views.views:,} views are blank, at which pixelNeRF's loader stops: "
                f"{shortened(blank)}"
            )
        for text in notes + _scaled(scales):
            note(text)
        different = list(dict.fromkeys(scales.values()))
        text = "\n".join([_README[format].rstrip("\n"), *(scale.text() for scale in different), *notes])
        (hidden / "README.md").write_text(text + "\n", encoding="utf-8")
        (hidden / FILE).write_text(json.dumps(record(different), indent=1) + "\n", encoding="utf-8")
    return objects


def _scaled(scales: dict[str, Scale]) -> list[str]:
    """What to print about the scales: those that are not 1, and what is outside the planes."""
    return [
        f"lengths of {shortened(list(scale.classes))} are multiplied by {scale.scale:.4g}, see README.md{warning}"
        for scale in dict.fromkeys(scales.values())
        if (warning := scale.warning()) or scale.scale != 1
    ]


def depth_is_known(frames: list[Frame]) -> bool:
    """Whether depth is known (not NaN) at a pixel of the object, or there is no pixel at which it could be."""
    depths = np.concatenate([frame.depth[frame.mask] for frame in frames])
    return not len(depths) or not bool(np.isnan(depths).all())


def _parts(views: "Views", splits: Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    """Ids by part: train, val and test in any case."""
    there = {"train": views.splits["all"]} if "all" in views.splits else views.splits
    unknown = [part for part in splits or () if part not in there]
    if unknown:
        raise UserError(f"splits: {unknown[0]!r} is not a part of family {views.family!r}; it has {', '.join(there)}")
    return {part: there.get(part, ()) if splits is None or part in splits else () for part in SPLITS}


def _objects(views: "Views", wanted: dict[str, str]) -> Iterator[tuple[str, list[Frame]]]:
    """Class and frames of one object after the other, scaled to the unit cube; memory holds one shard."""
    for shard in views.shards:
        held = {name: set(wanted).intersection(instances) for name, instances in shard.instances.items()}
        if not any(held.values()):
            continue
        frames = views.load([shard], set().union(*held.values()))
        for name, ids in held.items():
            for instance in sorted(ids):
                rows = np.flatnonzero((frames.class_name == name) & (frames.instance == instance))
                rows = rows[np.argsort(frames.view[rows])]
                yield name, [_unit(frames, row) for row in rows]


def _unit(frames: "Frames", row: int) -> Frame:
    """One frame with lengths in extents."""
    pose = frames.world_to_camera[row].copy()
    pose[:3, 3] /= frames.extent
    depth = (frames.depth[row] / frames.extent).astype(np.float32)
    instance, view = str(frames.instance[row]), int(frames.view[row])
    return Frame(instance, view, frames.rgba[row], frames.mask[row], depth, pose, frames.intrinsics[row])


def _scaled_poses(frames: list[Frame], scale: float) -> np.ndarray:
    """(V, 4, 4) world_to_camera of the scaled world."""
    poses = np.stack([frame.world_to_camera for frame in frames])
    poses[:, :3, 3] *= scale
    return poses


def _write_dvr(folder: Path, frames: list[Frame], visual_hull: bool, scale: float) -> None:
    side = len(frames[0].mask)
    intrinsics = frames[0].intrinsics
    if any(not np.array_equal(frame.intrinsics, intrinsics) for frame in frames):
        raise UserError(f"{frames[0].instance}: its views have different intrinsics; pixelNeRF allows one camera only")
    maps = {}
    if depth_is_known(frames):
        maps["depth"] = [np.where(np.isnan(frame.depth), np.float32(np.inf), frame.depth) for frame in frames]
    if visual_hull:
        maps["visual_hull_depth"] = visual_hull_depth(frames)
    for name in ("image", "mask", *maps):
        (folder / name).mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(compose(frame.rgba, 255)).save(folder / "image" / f"{number:04d}.png")
        Image.fromarray(frame.mask.astype(np.uint8) * 255).save(folder / "mask" / f"{number:04d}.png")
        for name, depths in maps.items():
            write_exr(depths[number] * np.float32(scale), folder / name / f"{number:04d}.exr")
    poses = _scaled_poses(frames, scale)
    with (folder / "cameras.npz").open("wb") as file:
        np.savez_compressed(file, **to_dvr(poses, intrinsics, side))  # type: ignore[arg-type]


def _write_srn(folder: Path, frames: list[Frame], scale: float) -> None:
    for name in ("rgb", "pose"):
        (folder / name).mkdir(parents=True)
    poses = _scaled_poses(frames, scale)
    try:
        text, camera_to_world = to_srn(poses, frames[0].intrinsics, len(frames[0].mask))
    except ValueError as error:
        raise UserError(f"{frames[0].instance}: {error}; export it for DVR") from None
    (folder / "intrinsics.txt").write_text(text, encoding="utf-8")
    for number, (frame, pose) in enumerate(zip(frames, camera_to_world, strict=True)):
        Image.fromarray(compose(frame.rgba, 255)).save(folder / "rgb" / f"{number:06d}.png")
        words = " ".join(repr(float(value)) for value in pose.ravel())
        (folder / "pose" / f"{number:06d}.txt").write_text(words + "\n", encoding="utf-8")


def _write_lists(folder: Path, classes: Sequence[str], parts: dict[str, tuple[str, ...]]) -> None:
    for name in classes:
        (folder / name).mkdir(exist_ok=True)
        for part, ids in parts.items():
            # No newline at the end, as published: DVR's and pixelNeRF's readers agree on that only.
            (folder / name / f"softras_{part}.lst").write_text("\n".join(sorted(ids)), encoding="utf-8")
    metadata = {name: {"id": name, "name": name} for name in classes}
    (folder / "metadata.yaml").write_text(json.dumps(metadata, indent=1) + "\n", encoding="utf-8")


def write_exr(depth: np.ndarray, path: Path) -> None:
    """A depth map (H, W) as three equal float32 channels, which every reader of DVR's depth understands."""
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    channels = {name: np.ascontiguousarray(depth, np.float32) for name in "RGB"}
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))


def visual_hull_depth(frames: list[Frame]) -> list[np.ndarray]:
    """Depth of the visual hull of one object in each of its views.

    Args:
        frames: all views, in the unit cube.

    Returns:
        (H, W) float32 camera z each, inf where the ray misses the hull.
    """
    import torch

    from robust3d.models.visual_hull import hull_depth

    masks = torch.from_numpy(np.stack([frame.mask for frame in frames]))[None]
    poses = torch.from_numpy(np.stack([frame.world_to_camera for frame in frames]))[None]
    intrinsics = torch.from_numpy(np.stack([frame.intrinsics for frame in frames]))[None]
    maps = []
    for frame in frames:
        origin, beams = rays(frame.world_to_camera, frame.intrinsics, *frame.mask.shape)
        directions = torch.from_numpy(beams[frame.mask])
        origins = torch.from_numpy(origin).expand_as(directions)
        objects = torch.zeros(len(directions), dtype=torch.long)
        depth = np.full(frame.mask.shape, np.inf, np.float32)
        depth[frame.mask] = hull_depth(origins, directions, objects, masks, poses, intrinsics).numpy()
        maps.append(depth)
    return maps
