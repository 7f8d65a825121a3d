"""A small PASCAL VOC in its folders, and a set of it."""

from PIL import Image

from robust3d.data.images import open_set
from robust3d.imagesets import voc
from robust3d.parsing import parse
from robust3d.provenance.runner import Context
from robust3d.stages import draw_set, pack_images

PICTURES = 12


def shows(number, label):
    """Class k of the first three where k + 2 divides the picture's number, so 6 shows two of them; else car."""
    if label == 6:
        return 1 if number % 2 and number % 3 else -1
    return (0 if number == 4 else 1) if label < 3 and number % (label + 2) == 0 else -1


def make(root, lists=voc.CLASSES):
    """Pictures 0 to 11 for training and 100 to 111 for validation, in the authors' folders."""
    base = root / "VOCdevkit/VOC2012"
    (base / "JPEGImages").mkdir(parents=True)
    (base / "ImageSets/Main").mkdir(parents=True)
    for split, first in (("train", 0), ("val", 100)):
        numbers = range(first, first + PICTURES)
        for number in numbers:
            Image.new("RGB", (20, 16), (number, 2 * number, 0)).save(base / f"JPEGImages/2008_{number:06d}.jpg")
        for name in lists:
            label = voc.CLASSES.index(name)
            lines = [f"2008_{number:06d} {shows(number - first, label):2d}\n" for number in numbers]
            (base / f"ImageSets/Main/{name}_{split}.txt").write_text("".join(lines))
    return root


def params(root, **more):
    return parse(voc.Params, {"kind": "voc", "path": str(root), "resolution_px": 16, "ratio": [3, 1, 1], **more})


def opened(root, folder, split):
    job_params = {"set": params(root).model_dump(mode="json"), "seed": 0}
    table = folder / "set.parquet"
    draw_set.run(Context(job_params, {}, {"table": table}, folder, 1))
    made = {"images": folder / "images.npy", "manifest": folder / "manifest.json", "sources": folder / "sources.sha256"}
    pack_images.run(Context(job_params | {"block": [0, 1]}, {"set": [table]}, made, folder, 1))
    inputs = {"set": [table], "images": [made["manifest"]]}
    return open_set(job_params["set"], inputs, split, several_labels=True), (job_params["set"], inputs)
