"""What each stage writes and which packages shape its result."""

import dataclasses
import functools
import re
from dataclasses import dataclass, field
from pathlib import Path

from robust3d.errors import UserError
from robust3d.study.places import own_file

LOCK = "envs/requirements.lock"
_FOLDER = "{results}/{stage}/{job}/"
_ARRAYS = ("numpy",)
_VIEWS = ("numpy", "h5py", "pandas", "pyarrow")
_SOURCES = "sources.sha256"  # of what was read of data that others published
_SUFFIXES = {  # of published files
    "table.csv": ".csv",
    "cells.json": ".cells.json",
    "picture.svg": ".svg",
    "picture.png": ".png",
    "record.json": ".record.json",
}
_LEARNING = ("numpy", "torch", "torchvision", "lightning", "h5py", "pandas")


@dataclass(frozen=True)
class Stage:
    """What a stage writes and what shapes it.

    Attributes:
        outputs: paths by name, data first; the record is added by the runner.
        packages: those that shape the result.
        reusable: whether outputs of a job that was told and read the same may be copied; not where they
            name the places of inputs.
        published: stable paths of the copies that users ask for, by output; of tables and figures only.
    """

    outputs: dict[str, str]
    packages: tuple[str, ...]
    reusable: bool = True
    published: dict[str, str] = field(default_factory=dict)


def _addressed(packages: tuple[str, ...], **files: str) -> Stage:
    return Stage({name: _FOLDER + file for name, file in (files | {"record": "record.json"}).items()}, packages)


def _target(packages: tuple[str, ...], **files: str) -> Stage:
    """A table or a figure: its files are published under its name, `table.csv` as `table4.csv`."""
    made = _addressed(packages, **files)
    published = {name: f"{{results}}/{{label}}{_SUFFIXES[Path(path).name]}" for name, path in made.outputs.items()}
    return dataclasses.replace(made, reusable=False, published=published)


STAGES: dict[str, Stage] = {
    "inventory": dataclasses.replace(_addressed(_ARRAYS, inventory="inventory.json"), reusable=False),
    "build_shapes": _addressed(_ARRAYS, shapes="shapes.npz", manifest="manifest.json"),
    "read_shapes": _addressed(_ARRAYS, shapes="shapes.npz", manifest="manifest.json", sources=_SOURCES),
    "render_shard": _addressed(("numpy", "bpy", "h5py"), views="views.h5", manifest="manifest.json"),
    "read_shard": _addressed(
        ("numpy", "pillow", "openexr", "h5py"), views="views.h5", manifest="manifest.json", sources=_SOURCES
    ),
    "index_views": dataclasses.replace(_addressed(_ARRAYS, manifest="manifest.json"), reusable=False),
    "make_textures": _addressed(("numpy", "pillow"), textures="textures.npz", sources=_SOURCES),
    "draw_set": _addressed(_VIEWS, table="set.parquet"),
    "pretrain": _addressed(
        _LEARNING,
        model="model.safetensors",
        info="model.json",
        metrics="metrics.json",
        reconstructions="reconstructions.png",
    ),
    "extract_encoder": _addressed(("torch",), encoder="encoder.safetensors", info="encoder.json"),
    "train_classifier": _addressed(
        _LEARNING, classifier="classifier.safetensors", info="classifier.json", metrics="metrics.json"
    ),
    "attack_classifier": _addressed((*_LEARNING, "pyautoattack"), metrics="metrics.json", outcomes="outcomes.parquet"),
    "test_shift": _addressed(_LEARNING, metrics="metrics.json", outcomes="outcomes.parquet"),
    "tabulate": _target(("numpy", "pandas", "scipy"), table="table.csv", cells="cells.json"),
    "plot": _target(
        ("numpy", "pandas", "scipy", "matplotlib"), picture="picture.svg", table="table.csv", cells="cells.json"
    ),
    "draw": _target(("numpy", "pillow"), picture="picture.png"),
}


@functools.cache
def _lock() -> dict[str, str]:
    path = own_file(LOCK)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run from the root of the project") from None
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", text, flags=re.MULTILINE))


def locked_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions from the lock, not from what is installed: the same on a head node and on a GPU node."""
    return {name: _lock()[name] for name in packages}
