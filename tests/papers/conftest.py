"""A small voxel set for the tests of 3DWINN."""

import json

import numpy as np
import pytest

from robust3d.data.volume_shards import write_volumes
from robust3d.provenance.runner import Context
from robust3d.stages import index_voxels


@pytest.fixture(scope="module")
def voxels(tmp_path_factory):
    """A voxel set of two classes: plates and columns."""
    folder, draw = tmp_path_factory.mktemp("voxels"), np.random.default_rng(0)
    entries = []
    for name in ("plate", "column"):
        objects = []
        for number in range(16):
            volume, at = np.zeros((1, 16, 16, 16), bool), int(draw.integers(0, 14))
            volume[0, :, at if name == "plate" else 6 : 10, :][..., slice(None) if name == "plate" else slice(6, 8)] = (
                True
            )
            objects.append((f"o{number}", volume))
        (folder / name).mkdir()
        entry = write_volumes(folder / name / "volumes.h5", {name: objects}, 16)
        entries.append(folder / name / "manifest.json")
        entries[-1].write_text(json.dumps(entry | {"turns": 1, "left_out": {}, "faults": {}}))
    params = {"name": "toy", "classes": ["plate", "column"], "split": {"ratio": [8, 4, 4], "mode": "random"}}
    job = Context(params | {"groups": {}, "seed": 0}, {"volumes": entries}, {"manifest": folder / "m.json"}, folder, 1)
    index_voxels.run(job)
    return folder / "m.json"
