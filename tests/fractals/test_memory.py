"""Memory does not grow with the number of pictures: in the files of a set, and in its export."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from pathlib import Path
from robust3d.data.published.image_folder import export_images
from robust3d.imagesets import fractals
from robust3d.provenance.runner import Context
from robust3d.stages import draw_set, pack_images

folder, categories = Path(sys.argv[1]), int(sys.argv[2])
params = fractals.Params(kind="fractals", categories=categories, resolution_px=64, points=2000, fill=0.05)
settings = {"set": params.model_dump(mode="json"), "seed": 0}
table = folder / "set.parquet"
draw_set.run(Context(settings, {}, {"table": table}, folder, 1))
made = {"images": folder / "images.npy", "manifest": folder / "manifest.json", "sources": folder / "sources.sha256"}
pack_images.run(Context(settings | {"block": [0, 1]}, {"set": [table]}, made, folder, 1))
packed = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = export_images(settings["set"], {"set": [table], "images": [made["manifest"]]}, folder / "pictures")
print(count, packed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_ten_thousand_fractals_need_no_more_memory_than_two_thousand(tmp_path):
    """All their pixels would be 98 MB more."""
    found = {}
    for categories in (2, 10):
        (tmp_path / str(categories)).mkdir()
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / str(categories)), str(categories)]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        found[categories] = [int(word) for word in told.stdout.split()]
    assert (found[2][0], found[10][0]) == (2000, 10_000)
    for few, many in zip(found[2][1:], found[10][1:], strict=True):
        assert many - few < 25_000, found  # KiB; the table and the interpreter's own take some
