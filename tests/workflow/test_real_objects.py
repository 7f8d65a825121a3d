"""Real objects through the workflow, from small catalogues made here: twins, corrected lists, attribution."""

import json
import zipfile

import numpy as np
import pytest
from boxes import box, furniture
from PIL import Image
from project import Project

MANIFEST = "plan.index_views('objects').output('manifest')"


@pytest.mark.slow
def test_from_catalogues_to_a_figure_with_its_attribution(tmp_path):
    """Two classes of six boxes, two of them twins in each."""
    numbers = range(12)
    with zipfile.ZipFile(tmp_path / "Small.sh3f", "w") as archive:
        lines = [furniture(n, f"S#{n}", creator=f"Ann {n}", width=10 + n) for n in numbers]
        archive.writestr("PluginFurnitureCatalog.properties", "license=CC BY 3.0\n" + "".join(lines))
        for n in numbers:
            archive.writestr(f"m/{n}/{n}.obj", box(1, 1, 1))
    lists = {name: tmp_path / f"{name}.txt" for name in ("box", "crate")}
    for offset, path in zip((0, 6), lists.values()):
        rows = [f"Small | S#{n + offset} | Box | x | {'twins' * (n < 2)}" for n in range(6)]
        path.write_text("\n".join(rows))
    project = Project(tmp_path / "project", {"ae"})
    family = {
        "kind": "sweethome3d",
        "shapes": {"path": str(tmp_path), "classes": list(lists), "lists": {k: str(v) for k, v in lists.items()}},
        "cameras": {"protocol": "nmr", "views": 4},
        "render": {"resolution_px": 16, "samples": 1},
        "split": {"ratio": [3, 1, 1], "mode": "orbit"},
    }
    shown = {"geon3d": {"figure3": ["categories"], "objects": "objects"}}
    project.change({"families": {"objects": family}, "papers": shown})
    project.values["sets"]["categories"] |= {"family": "objects", "images": [8, 4, 4]}
    project.configure(project.values)

    project.make("results/figure3.png")
    splits = json.loads((project.folder / project.path(MANIFEST)).read_text())["splits"]
    assert sum(map(len, splits.values())) == 12
    for twins in ({"box.S#0", "box.S#1"}, {"crate.S#6", "crate.S#7"}):
        assert sum(bool(twins & set(part)) for part in splits.values()) == 1
    told = (project.folder / "results/figure3.attribution.txt").read_text()
    assert "Small: CC BY 3.0" in told and all(f"Ann {n}: Box" in told for n in numbers)

    # The sheet of objects has a row of six for each class, and the same attribution.
    project.make("results/objects.png")
    assert (project.folder / "results/objects.attribution.txt").read_text() == told
    drawn = np.asarray(Image.open(project.folder / "results/objects.png").convert("L"))
    inked = (drawn < 128).any(axis=0)
    assert 6 * 96 < drawn.shape[1] < 7 * 96 + 200 and inked[: drawn.shape[1] // 8].any(), "and words to the left"

    # A list is corrected: the family is made anew without the object, whose frames are not rendered again.
    first = project.path(MANIFEST)
    lists["box"].write_text("\n".join(lists["box"].read_text().splitlines()[:-1]))
    assert project.path(MANIFEST) != first
    project.make("results/figure3.png")
    assert "Ann 5:" not in (project.folder / "results/figure3.attribution.txt").read_text()
    done = [record for record in project.records("render_shard").values() if not record["reused"]]
    assert sorted(record["notes"]["frames_rendered"] for record in done) == [0, 24, 24]

    # Other objects again: nothing is left of the attribution.
    project.change({"papers": {"geon3d": {"figure3": ["black"]}}})
    project.make("results/figure3.png")
    assert not (project.folder / "results/figure3.attribution.txt").exists()
