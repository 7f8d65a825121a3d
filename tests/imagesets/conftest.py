from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_files import colours, save

from robust3d import registry
from robust3d.data.images import ImageData, open_set
from robust3d.parsing import parse
from robust3d.provenance.runner import Context
from robust3d.stages import draw_set, pack_images


class Made:
    """A set that the stages have made."""

    def __init__(self, folder: Path, told: dict[str, Any], seed: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        module = registry.load("set", told["kind"])
        params = parse(module.Params, told)
        self.told = {"set": params.model_dump(mode="json"), "seed": seed}
        if hasattr(module, "identity"):
            self.told["data_on_disk"] = module.identity(params)
        outputs = {"table": folder / "set.parquet"}
        draw_set.run(Context(self.told, {}, outputs, folder, 1))
        self.inputs = {"set": [outputs["table"]], "images": []}
        self.sources: list[Path] = []
        for block in range(params.shards):
            (folder / str(block)).mkdir(exist_ok=True)
            names = {"images": "images.npy", "manifest": "manifest.json", "sources": "sources.sha256"}
            made = {name: folder / str(block) / file for name, file in names.items()}
            told = self.told | {"block": [block, params.shards]}
            pack_images.run(Context(told, {"set": self.inputs["set"]}, made, folder, 1))
            self.inputs["images"].append(made["manifest"])
            self.sources.append(made["sources"])

    def open(self, split: str = "train", **more: Any) -> ImageData:
        return open_set(self.told["set"], self.inputs, split, **more)


@pytest.fixture
def make(tmp_path) -> Callable[..., Made]:
    """Makes a set in a folder of its own."""
    number = iter(range(100))
    return lambda **told: Made(tmp_path / f"made-{next(number)}", {"resolution_px": 12, **told})


@pytest.fixture
def pictures(tmp_path) -> Path:
    """root/<split>/<class>: 6, 2 and 3 pictures of cats and dogs, all of one size."""
    root = tmp_path / "pictures"
    for c, name in enumerate(("cat", "dog")):
        for s, (split, count) in enumerate((("train", 6), ("val", 2), ("test", 3))):
            for number in range(count):
                save(root / split / name / f"{number}.png", colours(100 * c + 10 * s + number))
    return root
