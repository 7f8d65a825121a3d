"""A bare bpy loop over the same scene: `python bare.py JOB.pickle FOLDER`, prints its seconds and frames.

It shows each mesh, and for each pose sets camera and seed and renders to an uncompressed float EXR in FOLDER (memory);
nothing is read back. Scene, samples, bounces, light tree, passes and border are those of `robust3d.rendering.scene`,
whose set-up it calls, so that what differs is all that we do besides rendering: reading, packing, pipes, shards.
"""

import json
import pickle
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()


def main() -> None:
    import bpy
    from mathutils import Matrix

    from robust3d.cameras import opengl
    from robust3d.rendering.scene import Scene
    from robust3d.rendering.worker import frame_seed

    params, intrinsics, requests = pickle.loads(Path(sys.argv[1]).read_bytes())
    scene = Scene(params, intrinsics, Path(sys.argv[2]))
    side, render = params.resolution_px, scene.scene.render
    finished, frames = [], 0
    for instance, mesh, poses in requests:
        scene.show(mesh)
        for view, pose in enumerate(poses):
            left, top, right, bottom = scene._box(pose)
            render.border_min_x, render.border_max_x = (left + 0.25) / side, (right + 0.25) / side
            render.border_min_y, render.border_max_y = (side - bottom + 0.25) / side, (side - top + 0.25) / side
            scene.camera.matrix_world = Matrix(opengl(pose).tolist())
            scene.scene.cycles.seed = frame_seed(0, "bench", instance, view) & 0x7FFFFFFF
            bpy.ops.render.render(write_still=True)
            frames += 1
        finished.append(time.perf_counter())
    rest = finished[-1] - finished[0]  # from the end of the first instance on: without start-up and warm-up
    print(json.dumps({"all_s": finished[-1] - STARTED, "rest_s": rest, "frames": frames}))


if __name__ == "__main__":
    main()
