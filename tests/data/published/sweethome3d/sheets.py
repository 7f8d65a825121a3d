"""Draws a sheet of every object of classes, to be looked at when a list has changed.

    python tests/data/published/sweethome3d/sheets.py FOLDER [CLASS …]

One PNG a class: each object of its list from the front with its id, and below from behind with its group of twins.
"""

import sys
from pathlib import Path

import numpy as np

from robust3d import cameras
from robust3d.data.compositing import compose
from robust3d.data.pictures import sheet
from robust3d.families import sweethome3d
from robust3d.rendering.params import RenderParams
from robust3d.rendering.pool import render_instances

SIDE_PX = 112
VIEWS = [15, 3]  # of the 24 around the object: from the front and from behind
COLUMNS = 10
WHITE = 255


def draw(name: str, folder: Path) -> None:
    params = sweethome3d.Params(classes=(name,))
    entries = sweethome3d.take_inventory(params).classes[name]
    camera = cameras.CameraParams(protocol="nmr", views=24)
    poses = np.asarray(cameras.poses(camera, 0))[VIEWS]
    requests = ((key, sweethome3d.read_mesh(params, entry), poses) for key, entry in entries.items())
    render = RenderParams(resolution_px=SIDE_PX, samples=16)
    pictures: dict[str, list[np.ndarray]] = {}
    for frame in render_instances(requests, cameras.intrinsics(camera, SIDE_PX), render, 0, name):
        pictures.setdefault(frame.instance, []).append(compose(frame.rgba, WHITE))
    rows, words = [], []
    for start in range(0, len(entries), COLUMNS):
        keys = list(entries)[start : start + COLUMNS]
        rows += [[pictures[key][view] for key in keys] for view in range(len(VIEWS))]
        words += [keys, [entries[key].group for key in keys]]
    sheet(rows, cell_labels=words).save(folder / f"{name}.png")


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or sweethome3d.Params().classes:
        draw(name, out)
