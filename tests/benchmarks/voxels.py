"""Surface voxels of a thousand meshes of 5,000 triangles, against trimesh's voxels by subdivision."""

import time

import numpy as np
import trimesh
from harness import Row, Section, interleaved, rate_row, spread, timed

from robust3d.shapes.voxels import VoxelParams, placed, surface_voxels, voxelise

SIDE = 32


def meshes(count: int, divisions: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Dented and stretched balls, each with its own dents."""
    ball = trimesh.creation.icosphere(divisions)
    vertices, faces = np.asarray(ball.vertices), np.asarray(ball.faces)
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        waves = np.sin(vertices @ rng.normal(0, 4, (3, 5))).sum(1, keepdims=True)
        made.append((vertices * (1 + 0.08 * waves) * rng.uniform(0.4, 1, 3), faces))
    return made


def measure(toy: bool, repeats: int) -> Section:
    """All meshes once; trimesh on some of them."""
    some, every, divisions = (2, 4, 2) if toy else (10, 1000, 4)  # 5,120 triangles
    made, params = meshes(every, divisions), VoxelParams(resolution=SIDE)
    faces = len(made[0][1])

    def ours() -> list[np.ndarray]:
        return [voxelise(*mesh, params)[0] for mesh in made[:some]]

    def theirs() -> list[int]:
        inside = [(placed(*mesh, params), mesh[1]) for mesh in made[:some]]
        return [len(trimesh.Trimesh(*mesh, process=False).voxelized(1.0).points) for mesh in inside]

    samples = interleaved({"ours": ours, "trimesh": theirs}, min(repeats, 3))
    started = time.process_time()
    whole = timed(lambda: [surface_voxels(placed(*mesh, params), mesh[1], SIDE) for mesh in made])
    busy = time.process_time() - started  # of one core, whatever else the machine does
    section = Section("voxels", {"meshes": [some, every], "triangles": faces, "resolution": SIDE})
    what = f"meshes of {faces:,} triangles voxelised at {SIDE}³"
    note = f"{busy:.1f} s of a core for {every:,}, {whole.seconds:.1f} s by the clock; bar: 60 s for 1,000"
    section.rows = [
        rate_row(what, "meshes/s", some, samples["ours"], samples["trimesh"], "trimesh, by subdivision", bar=1),
        Row(f"… all {every:,}", "meshes/s of a core", spread([every / busy]), bar=1000 / 60, note=note),
    ]
    return section
