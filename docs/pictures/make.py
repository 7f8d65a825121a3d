"""Makes the pictures of README, small, from figures of the study of real objects.

snakemake results/figure2.png results/objects.png results/figure10.png --config objects=real
python docs/pictures/make.py
"""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from robust3d.data.compositing import compose
from robust3d.data.manifest import Views
from robust3d.data.pictures import sheet
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study

RESULTS, HERE = Path("results"), Path(__file__).parent
CLASSES = ("chair", "lamp", "plant", "car", "person", "sofa")
OBJECTS, SIDE_PX = 10, 96
COLOURS = 128
WHITE = 255


def save(picture: Image.Image, name: str, colours: int | None = None) -> None:
    """Write a PNG, of few colours if told to; a picture with less pixels would be a larger file, for its soft edges."""
    if colours is not None:
        picture = picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.save(HERE / name, "PNG", optimize=True)


def objects(views: Views) -> Image.Image:
    """A row of a few classes each: objects evenly spaced in the order of their ids."""
    frames = views.frames(list(views.splits))
    rows = []
    for name in CLASSES:
        found = np.flatnonzero(frames.class_name == name)
        found = found[np.argsort(frames.instance[found])]
        chosen = found[np.linspace(0, len(found) - 1, OBJECTS).round().astype(int)]
        large = [Image.fromarray(compose(frames.rgba[index], WHITE)) for index in chosen]
        rows.append([np.array(one.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)) for one in large])
    return sheet(rows, SIDE_PX, CLASSES)


if __name__ == "__main__":
    manifest = Plan(read_study([Path("config.yaml")], {"objects": "real"})).index_views("real_portraits")
    save(objects(Views.read(Path(manifest.output("manifest")))), "objects.png")
    save(Image.open(RESULTS / "figure2.png").convert("RGB"), "geons.png", COLOURS)
    save(Image.open(RESULTS / "figure10.png").convert("RGB"), "reconstructions.png", COLOURS)
    shutil.copyfile(RESULTS / "objects.attribution.txt", HERE / "attribution.txt")
