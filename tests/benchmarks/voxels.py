"""Surface voxels of a thousand meshes of 5,000 triangles, against trimesh's voxels by subdivision."""

import numpy as np
import trimesh
from harness import Row, Section, interleaved, rate_row, spread, timed

from robust3d.shapes.voxels import VoxelParams, placed, surface_voxels, voxelise

SIDE = 32


def meshes(count: int, triangles: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Dented and stretched balls, each with its own dents."""
    ball = trimesh.creation.uv_sphere(count=[round(np.sqrt(triangles)) // 2 + 1, round(np.sqrt(triangles))])
    vertices, faces = np.asarray(ball.vertices), np.asarray(ball.faces)
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        waves = np.sin(vertices @ rng.normal(0, 4, (3, 5))).sum(1, keepdims=True)
        made.append((vertices * (1 + 0.08 * waves) * rng.uniform(0.4, 1, 3), faces))
    return made


def measure(toy: bool, repeats: int) -> Section:
    """All meshes once; trimesh on some of them."""
    some, every, triangles = (2, 4, 200) if toy else (10, 1000, 5000)
    made, params = meshes(every, triangles), VoxelParams(resolution=SIDE)
    faces = len(made[0][1])

    def ours() -> list[np.ndarray]:
        return [voxelise(*mesh, params)[0] for mesh in made[:some]]

    def theirs() -> list[int]:
        inside = [(placed(*mesh, params), mesh[1]) for mesh in made[:some]]
        return [len(trimesh.Trimesh(*mesh, process=False).voxelized(1.0).points) for mesh in inside]

    samples = interleaved({"ours": ours, "trimesh": theirs}, min(repeats, 3))
    whole = timed(lambda: [surface_voxels(placed(*mesh, params), mesh[1], SIDE) for mesh in made])
    section = Section("voxels", {"meshes": [some, every], "triangles": faces, "resolution": SIDE})
    what = f"meshes of {faces:,} triangles voxelised at {SIDE}³"
    note = f"{whole.seconds:.1f} s for {every:,}; bar: 60 s for 1,000"
    section.rows = [
        rate_row(what, "meshes/s", some, samples["ours"], samples["trimesh"], "trimesh, by subdivision", bar=1),
        Row(f"… all {every:,}", "meshes/s", spread([every / whole.seconds]), bar=1000 / 60, note=note),
    ]
    return section
