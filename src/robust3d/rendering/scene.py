"""The Blender scene of one worker: one object, fixed suns, a moving camera.

The scene is set up once and kept on the renderer's side (persistent data); between frames only the camera and
the seed change, between objects the mesh. Depth and object index are taken by Cycles from the first sample of
a pixel, which goes through its centre, so the mask is binary and the depth exact with any number of samples. Of
glass they tell the first surface; a hole in a picture, where its alpha is below one half, is not there.
"""

import math
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from robust3d.cameras import opengl, project
from robust3d.data.frame import Frame
from robust3d.rendering.exr import read_exr
from robust3d.rendering.paint import Coats, plain_paint
from robust3d.rendering.params import RenderParams, Sun
from robust3d.shapes.mesh import Mesh, Paint

_OBJECT, _INDEX = "object", 1
_SENSOR_MM = 36.0
_LAYERS = 64  # of leaves and glass, one behind the other; what lies behind more of them is black
_MARGIN_PX = 3  # around the object's projection; the pixel filter reaches 1 px


class Scene:
    """Renders objects with one set of parameters."""

    def __init__(self, params: RenderParams, intrinsics: np.ndarray, folder: Path) -> None:
        middle = params.resolution_px / 2
        if not np.allclose(intrinsics[[0, 0, 1], [0, 2, 2]], [intrinsics[1, 1], middle, middle]):
            raise ValueError("the renderer takes one focal length and a principal point in the image's middle")
        self.params, self.intrinsics = params, intrinsics
        self.vertices = np.zeros((0, 3))
        self.file = folder / "frame.exr"
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self._engine()
        self._lamps()
        self.material, self.coats = plain_paint(params), Coats(params, folder)
        camera = bpy.data.cameras.new("camera")
        camera.sensor_width, camera.clip_start, camera.clip_end = _SENSOR_MM, 0.01, 100.0
        camera.lens = intrinsics[0, 0] / params.resolution_px * _SENSOR_MM
        self.camera = bpy.data.objects.new("camera", camera)
        self.scene.collection.objects.link(self.camera)
        self.scene.camera = self.camera

    def _engine(self) -> None:
        scene, params = self.scene, self.params
        scene.render.engine = "CYCLES"
        cycles = scene.cycles
        cycles.device, cycles.samples = "CPU", params.samples
        cycles.use_adaptive_sampling = cycles.use_denoising = cycles.use_light_tree = False
        cycles.max_bounces = cycles.diffuse_bounces = params.bounces
        cycles.glossy_bounces = cycles.transmission_bounces = cycles.volume_bounces = 0
        cycles.transparent_max_bounces = 0
        cycles.caustics_reflective = cycles.caustics_refractive = False
        render = scene.render
        render.resolution_x = render.resolution_y = params.resolution_px
        render.resolution_percentage = 100
        render.film_transparent = render.use_persistent_data = True
        render.threads_mode, render.threads = "FIXED", 1
        render.use_compositing = render.use_sequencer = False
        render.use_border = render.use_crop_to_border = True
        render.dither_intensity = 0.0
        settings = render.image_settings
        settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "NONE"
        render.filepath = str(self.file)
        layer = scene.view_layers[0]
        layer.use_pass_z = layer.use_pass_object_index = True
        layer.pass_alpha_threshold = Paint.HOLE  # what is more opaque counts as there

    def _lamps(self) -> None:
        world = bpy.data.worlds.new("world")
        world.use_nodes = True
        world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.0
        self.scene.world = world
        for number, sun in enumerate(self.params.suns):
            if sun.shadow:
                _aim(self._lamp(f"sun {number}"), sun)
        self.moving = self._lamp("light") if self.params.light else None

    def _lamp(self, name: str) -> bpy.types.Object:
        lamp = bpy.data.objects.new(name, bpy.data.lights.new(name, "SUN"))
        lamp.rotation_mode = "QUATERNION"
        self.scene.collection.objects.link(lamp)
        return lamp

    def show(self, mesh: Mesh) -> None:
        """Put `mesh` in the place of the object shown before."""
        self.vertices = mesh.vertices
        old = bpy.data.objects.get(_OBJECT)
        if old is not None:
            data = old.data
            bpy.data.objects.remove(old)
            bpy.data.meshes.remove(data)
            self.coats.wash()
        shown = bpy.data.objects.new(_OBJECT, _blender_mesh(mesh))
        for material in self.coats.coat(mesh.paint) if mesh.paint else [self.material]:
            shown.data.materials.append(material)
        self.scene.cycles.transparent_max_bounces = _LAYERS if mesh.paint and mesh.paint.see_through else 0
        shown.pass_index = _INDEX
        self.scene.collection.objects.link(shown)

    def render(
        self, instance: str, view: int, world_to_camera: np.ndarray, seed: int, light: Sun | None = None
    ) -> Frame:
        """Render the object shown from one camera; only its box is traced, which saves half the time."""
        if self.moving is not None and light is not None:
            _aim(self.moving, light)
        left, top, right, bottom = self._box(world_to_camera)
        side = self.params.resolution_px
        render = self.scene.render
        # Blender truncates border * side to whole pixels and counts rows from below: aim inside the pixel.
        render.border_min_x, render.border_max_x = (left + 0.25) / side, (right + 0.25) / side
        render.border_min_y, render.border_max_y = (side - bottom + 0.25) / side, (side - top + 0.25) / side
        self.camera.matrix_world = Matrix(opengl(world_to_camera).tolist())
        self.scene.cycles.seed = seed & 0x7FFFFFFF
        bpy.ops.render.render(write_still=True)
        channels = read_exr(self.file)
        layer = self.scene.view_layers[0].name
        hit = channels[f"{layer}.IndexOB.X"] == _INDEX
        if hit.shape != (bottom - top, right - left):
            raise RuntimeError(f"Blender rendered {hit.shape} pixels instead of {(bottom - top, right - left)}")
        inside = slice(top, bottom), slice(left, right)
        rgba = np.zeros((side, side, 4), np.uint8)
        rgba[inside] = to_straight_srgb(np.stack([channels[f"{layer}.Combined.{c}"] for c in "RGBA"], axis=-1))
        mask = np.zeros((side, side), bool)
        mask[inside] = hit
        depth = np.full((side, side), np.inf, np.float32)
        depth[mask] = channels[f"{layer}.Depth.Z"][hit]
        return Frame(instance, view, rgba, mask, depth, world_to_camera, self.intrinsics)

    def _box(self, world_to_camera: np.ndarray) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the part of the image that the object may touch, px."""
        side = self.params.resolution_px
        points, depth = project(self.vertices, world_to_camera, self.intrinsics)
        if depth.min() <= self.camera.data.clip_start:  # the camera is inside the object
            return 0, 0, side, side
        low = np.floor(points.min(axis=0)).astype(int) - _MARGIN_PX
        high = np.ceil(points.max(axis=0)).astype(int) + _MARGIN_PX
        low, high = np.clip(low, 0, side - 2), np.clip(high, 2, side)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _aim(lamp: bpy.types.Object, sun: Sun) -> None:
    lamp.data.energy, lamp.data.angle = math.pi * sun.strength, math.radians(sun.angle_deg)
    lamp.rotation_quaternion = Vector(sun.direction).to_track_quat("Z", "Y")


def to_straight_srgb(premultiplied: np.ndarray) -> np.ndarray:
    """Linear premultiplied RGBA (H, W, 4) to sRGB-encoded straight uint8; colour 0 where alpha is 0."""
    alpha = np.clip(premultiplied[..., 3:], 0.0, 1.0)
    straight = np.divide(
        premultiplied[..., :3], alpha, out=np.zeros_like(premultiplied[..., :3]), where=alpha > 0.5 / 255
    )
    linear = np.clip(straight, 0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(np.concatenate([srgb, alpha], axis=-1) * 255).astype(np.uint8)


def _blender_mesh(mesh: Mesh) -> bpy.types.Mesh:
    data = bpy.data.meshes.new(_OBJECT)
    count = len(mesh.faces)
    data.vertices.add(len(mesh.vertices))
    data.vertices.foreach_set("co", mesh.vertices.astype(np.float32).ravel())
    data.loops.add(3 * count)
    data.loops.foreach_set("vertex_index", mesh.faces.astype(np.int32).ravel())
    data.polygons.add(count)
    data.polygons.foreach_set("loop_start", np.arange(0, 3 * count, 3, dtype=np.int32))
    colour = data.attributes.new("colour", "FLOAT_COLOR", "CORNER")
    corners = mesh.colours if mesh.colours.ndim == 3 else np.repeat(mesh.colours[:, None], 3, axis=1)
    rgba = np.concatenate([corners, np.ones((count, 3, 1))], axis=2).astype(np.float32)
    colour.data.foreach_set("color", rgba.ravel())
    if mesh.paint:
        data.polygons.foreach_set("material_index", mesh.paint.of_face)
        data.uv_layers.new(name="uv").uv.foreach_set("vector", mesh.paint.uv.ravel())
    data.update(calc_edges=True)
    data.shade_smooth()
    data.set_sharp_from_angle(angle=math.radians(mesh.smooth_angle_deg))
    return data
