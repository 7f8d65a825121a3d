"""Surfaces without light: the colours that Blender takes for them, and those that trimesh and Embree find.

`python albedo.py JOB.pickle FOLDER` renders in a process of its own; `albedo` starts it.
"""

import pickle
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh

from robust3d import cameras
from robust3d.data.frame import Frame
from robust3d.rendering.params import RenderParams

LONGEST_DIAGONAL = 1.4


def albedo(requests, intrinsics, resolution_px):
    """Frames whose colours are the surfaces' own, seen through each pixel's centre; requests as `render_instances`."""
    with tempfile.TemporaryDirectory() as name:
        job = Path(name, "job.pickle")
        job.write_bytes(pickle.dumps((RenderParams(resolution_px=resolution_px, samples=1), intrinsics, requests)))
        subprocess.run([sys.executable, __file__, str(job), name], check=True, stdout=subprocess.DEVNULL)
        return pickle.loads(job.read_bytes())


def main() -> None:
    from robust3d.rendering.exr import read_exr
    from robust3d.rendering.scene import Scene, to_straight_srgb

    params, intrinsics, requests = pickle.loads(Path(sys.argv[1]).read_bytes())
    scene = Scene(params, intrinsics, Path(sys.argv[2]))
    layer = scene.scene.view_layers[0]
    layer.use_pass_diffuse_color = True
    frames: list[Frame] = []
    for name, mesh, poses in requests:
        scene.show(mesh)
        for view, pose in enumerate(poses):
            frame = scene.render(name, view, pose, 0)
            channels = read_exr(scene.file)
            left, top, right, bottom = scene._box(pose)
            colour = np.stack(
                [channels[f"{layer.name}.DiffCol.{c}"] for c in "RGB"] + [np.ones((bottom - top, right - left))], -1
            )
            rgba = np.zeros_like(frame.rgba)
            rgba[top:bottom, left:right] = to_straight_srgb(colour)
            frames.append(replace(frame, rgba=rgba))
    Path(sys.argv[1]).write_bytes(pickle.dumps(frames))


class Solid:
    """An OBJ with its materials, as trimesh reads it, scaled as our reader promises."""

    def __init__(self, path: Path) -> None:
        scene = trimesh.load(path, process=False, force="scene")
        self.parts = list(scene.geometry.values())
        vertices = [part.vertices[np.unique(part.faces)] for part in self.parts]
        low, high = (getattr(np.concatenate(vertices), end)(axis=0) for end in ("min", "max"))
        scale = min(1 / (high - low).max(), LONGEST_DIAGONAL / np.linalg.norm(high - low))
        corners = [(np.asarray(part.vertices)[part.faces] - (low + high) / 2) * scale for part in self.parts]
        self.corners = np.concatenate(corners)
        self.part_of = np.repeat(np.arange(len(corners)), [len(part) for part in corners])
        self.first_of = np.cumsum([0, *(len(part) for part in corners)])
        self.solid = trimesh.Trimesh(self.corners.reshape(-1, 3), np.arange(self.corners.size // 3).reshape(-1, 3),
                                     process=False)  # fmt: skip
        self.caster = trimesh.ray.ray_pyembree.RayMeshIntersector(self.solid)

    def colours(self, faces, points):
        """(n, 4) sRGB levels and opacity of points on faces."""
        weights = trimesh.triangles.points_to_barycentric(self.corners[faces], points)
        found = np.zeros((len(faces), 4))
        for number, part in enumerate(self.parts):
            here = self.part_of[faces] == number
            material = getattr(part.visual, "material", None)
            if not here.any() or material is None:
                continue
            image = getattr(material, "image", None)
            if image is None or part.visual.uv is None:
                found[here] = material.main_color
                continue
            corners = part.visual.uv[part.faces[faces[here] - self.first_of[number]]]
            uv = (corners * weights[here][..., None]).sum(axis=1)
            found[here] = trimesh.visual.color.uv_to_interpolated_color(uv % 1.0, image)
        return found

    def seen(self, frame):
        """Embree's first surface in the centre of each pixel: whether there is one (H, W), camera z, and its colour.

        Surfaces whose picture's alpha is below one half are passed.
        """
        height, width = frame.mask.shape
        origin, directions = cameras.rays(frame.world_to_camera, frame.intrinsics, height, width)
        directions = directions.reshape(-1, 3)
        points, rays, faces = self.caster.intersects_location(
            np.broadcast_to(origin, directions.shape), directions, multiple_hits=True
        )
        colours = self.colours(faces, points)
        distance = ((points - origin) * directions[rays]).sum(1) / (directions[rays] ** 2).sum(1)  # directions: z = 1
        there = colours[:, 3] >= 127.5
        hit, depth, colour = (
            np.zeros(len(directions), bool),
            np.full(len(directions), np.inf),
            np.zeros((len(directions), 4)),
        )
        for at in np.flatnonzero(there)[np.argsort(-distance[there])]:  # the nearest one last
            hit[rays[at]], depth[rays[at]], colour[rays[at]] = True, distance[at], colours[at]
        return hit.reshape(height, width), depth.reshape(height, width), colour.reshape(height, width, 4)


if __name__ == "__main__":
    main()
