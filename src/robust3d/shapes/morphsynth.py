"""MorphSynthDB ("Beyond Flatland" §3.2): random morphs of ProcSynthDB's first meshes in shape and colour.

Amplitudes are the paper's, lengths those of the reference implementation (single-scan-3dmms), in millimetres of a mesh
that is 200 mm wide. Class `p0007-m3` is the fourth morph of the eighth mesh: up to the `-`, names of both data sets
tell the mesh.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from pydantic import Field

from robust3d.errors import UserError
from robust3d.seeds import numpy_generator
from robust3d.shapes import procsynth
from robust3d.shapes.mesh import Mesh
from robust3d.shapes.procedural.decimate import decimate
from robust3d.shapes.procedural.fields import COMPONENTS, INDUCING, Method, Sampler, Terms, mixed, sampler
from robust3d.shapes.procedural.quality import Numbered, generate, in_sphere, surface_points
from robust3d.shapes.procedural.solids import Floats
from robust3d.shapes.procsynth import extent, orbit, stretch_of, stretched

PACKAGES = ("scipy",)
__all__ = ["PACKAGES", "Params", "build_all", "extent", "instance_ids", "orbit"]


class Params(procsynth.Params):
    """The meshes, as for `procsynth`, and how they are morphed."""

    meshes: int = Field(100, ge=1, le=10_000)  # the first of ProcSynthDB (paper: 100)
    draws: int = Field(10, ge=1, le=10_000)  # morphs of each mesh (paper: 1,000 classes of 100 meshes)
    each: Literal["class", "instance"] = "class"  # what a morph is (paper: open); instance: a mesh is a class, `draws`
    # times `instances` its instances
    method: Method = "nystrom"  # as the reference; exact and fourier have the kernel's whole variance, see fields.py
    components: int = Field(
        COMPONENTS, ge=3
    )  # of nystrom, of three channels together, as scalismo counts; 597: 199 each
    vertices: int = Field(3000, ge=50)  # of a mesh, at most, before it is morphed (paper: "we downsample the meshes")
    width_mm: float = Field(200.0, gt=0)  # of a mesh in the unit of the lengths below
    shape: Terms = ((7.0, 100.0), (50.0, 50.0), (300.0, 10.0))  # mm^2, mm: a_s, b_s, c_s (originals 7, 5, 3)
    albedo: Terms = ((0.02, 500.0), (0.05, 20.0), (0.2, 2.0))  # and mm: a_a, b_a, c_a (originals 0.02, 0.01, 0.01)
    tint: Terms = ((0.015, 0.15),)  # over the mesh's own colours: one tint for a mesh of one colour
    mix: float = Field(1.0, ge=1)  # of colour channels: 1: independent; the reference also has 16
    colouring: Literal["mean", "albedo"] = "mean"  # of the fields over place and over colour, as the reference
    max_growth: float = Field(2.0, ge=1)  # of the mesh's box by a morph; others are rejected
    max_flipped: float = Field(0.5, gt=0, le=1)  # share of the area that a morph may turn inside out (of noise: 0.5)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: a morph each, or a mesh."""
        if self.each == "instance":
            return self.mesh_names
        return tuple(f"{name}-m{draw}" for name in self.mesh_names for draw in range(self.draws))


def instance_ids(params: Params, seed: int) -> tuple[str, ...]:
    """The instance ids ``0000``, ``0001``, …, the same for every class."""
    return tuple(f"{k:04d}" for k in range(params.instances * (params.draws if params.each == "instance" else 1)))


def build_all(params: Params, seed: int) -> tuple[dict[str, Mesh], dict[str, Any]]:
    """The meshes of all classes by ``class/instance``, and what was rejected and turned inside out.

    Raises:
        UserError: quality control rejects every candidate for a mesh or a morph.
    """
    found: dict[str, Mesh] = {}
    rejected, flipped = Counter[str](), []
    for made, name in zip(generate(params, seed, params.meshes), params.mesh_names, strict=True):
        rejected += made.rejected
        for draw, (mesh, share, refused) in enumerate(morphs(params, seed, made)):
            rejected += refused
            flipped.append(share)
            owner = f"{name}-m{draw}" if params.each == "class" else name
            for number in range(params.instances):
                instance = f"{number if params.each == 'class' else draw * params.instances + number:04d}"
                scale = stretch_of(params.stretch, seed, owner, instance)
                vertices = stretched(mesh.vertices, scale)
                found[f"{owner}/{instance}"] = Mesh(vertices, mesh.faces, mesh.colours, mesh.smooth_angle_deg)
    ordered = {f"{name}/{one}": found[f"{name}/{one}"] for name in params.classes for one in instance_ids(params, seed)}
    return ordered, {"rejected": dict(rejected), "flipped_share_mean": float(np.mean(flipped))}


def morphs(params: Params, seed: int, made: Numbered) -> Iterator[tuple[Mesh, float, Counter[str]]]:
    """The morphs of one mesh, each with the share of its area that it turns inside out and what was rejected before."""
    vertices, faces = decimate(made.vertices.copy(), made.faces, params.vertices)
    colour = np.tile(np.asarray(params.colour, np.float64), (len(vertices), 1))
    inducing = surface_points(vertices, faces, INDUCING, numpy_generator(seed, "inducing", made.number))
    mm = params.width_mm  # vertices are in a sphere of diameter 1
    move = sampler(vertices * mm, params.shape, params.method, inducing * mm, params.components)
    paint = sampler(vertices * mm, params.albedo, params.method, inducing * mm, params.components)
    tint = _over_colours(params)
    side = np.ptp(vertices, axis=0).max()
    for draw in range(params.draws):
        refused: Counter[str] = Counter()
        for attempt in range(params.tries):
            generator = numpy_generator(seed, "morph", made.number, draw, attempt)
            moved = vertices + move(generator) / mm
            share = turned(vertices, moved, faces)
            if np.ptp(moved, axis=0).max() > params.max_growth * side:
                refused["max_growth"] += 1
            elif share > params.max_flipped:
                refused["max_flipped"] += 1
            else:
                break
        else:
            raise UserError(
                f"morphsynth: quality control rejected all {params.tries} morphs of mesh {made.number} "
                f"({', '.join(f'{count} by {name}' for name, count in refused.most_common())}); loosen it, or make the "
                "terms of `shape` smaller"
            )
        fields = [paint(generator)] if params.colouring == "albedo" else [paint(generator), tint(generator)]
        shaded = np.clip(colour + mixed(np.asarray(sum(fields)) / len(fields), params.mix), 0, 1)
        yield Mesh(in_sphere(moved), faces.astype(np.int32), shaded[faces].astype(np.float32), 60.0), share, refused


def _over_colours(params: Params) -> Sampler:
    """The field over colours, at the one colour that all vertices have: (1, 3)."""
    return sampler(np.asarray([params.colour], np.float64), params.tint, "exact")


def turned(before: Floats, after: Floats, faces: np.ndarray) -> float:
    """Share of the area whose faces look away from where they looked before."""
    normals = []
    for vertices in (before, after):
        a, b, c = (vertices[faces[:, i]] for i in range(3))
        normals.append(np.cross(b - a, c - a))
    area = np.linalg.norm(normals[1], axis=1)
    return float(area[(normals[0] * normals[1]).sum(1) < 0].sum() / area.sum())
