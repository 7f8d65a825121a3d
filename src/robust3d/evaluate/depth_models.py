"""Depth maps of photographs by a monocular depth model of Hugging Face's `transformers`, from a folder on disk.

`transformers` is not in this project's lock: who wants it installs it beside. Nothing is fetched from the network, and
weights are read from safetensors only.
"""

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robust3d.data.published.files import read_photograph
from robust3d.data.published.inventory import is_ours
from robust3d.errors import UserError
from robust3d.imagesets.folder import SUFFIXES

INSTALL = "pip install 'transformers>=4.56,<5'"
METRIC = ("zoedepth", "glpn")  # kinds of models that give metres …
INVERSE = ("dpt",)  # … and inverse depth up to scale and shift, as MiDaS
_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


def write_depth_maps(model: Path, pictures: Path, out: Path, device: str) -> tuple[int, str]:
    """Write a depth map for each picture of a folder that has none yet, at the picture's size.

    Args:
        model: folder of a model as `save_pretrained` writes it.
        pictures: folder; pictures may lie in folders below it.
        out: folder of the maps, in the same folders by the same names: NPY in metres, or PFM of inverse depth.
        device: "cpu" or "cuda".

    Returns:
        How many were written, and the `source` that says what they hold (`robust3d.data.depth_maps`).

    Raises:
        UserError: `transformers` or a file of the model is missing, it is no depth model, a picture is broken, or two
            pictures differ in their endings only.
    """
    processor, network, metric = _load(model)
    network = network.to(device).eval()
    if not pictures.is_dir():
        raise UserError(f"{pictures}: no such folder of pictures")
    targets: dict[Path, Path] = {}
    for path in sorted(pictures.rglob("*")):
        inside = path.relative_to(pictures)
        if path.suffix.lower() in SUFFIXES and all(map(is_ours, inside.parts)):
            target = (out / inside).with_suffix(".npy" if metric else ".pfm")
            if (other := targets.setdefault(target, path)) != path:
                raise UserError(f"{path}: its depth map would be that of {other.name}; give one of them another name")
    if not targets:
        raise UserError(f"{pictures}: no picture in it (they end in {', '.join(SUFFIXES)})")
    written = 0
    for target, path in targets.items():
        if target.exists():
            continue
        image = read_photograph(path)
        given = processor(images=image, return_tensors="pt").to(device)
        with torch.inference_mode():
            found = network(**given)
        size = (image.height, image.width)
        sizes: dict[str, Any] = {"target_sizes": [size]}
        if network.config.model_type == "zoedepth":
            sizes["source_sizes"] = [size]  # its processor pads pictures
        depth = processor.post_process_depth_estimation(found, **sizes)[0]["predicted_depth"]
        if not metric:
            depth = depth.clamp(min=0)  # what is infinitely far is 0, and enlarging may go beyond
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, depth.float().cpu().numpy())
        written += 1
    return written, "plain" if metric else "midas"


def _load(folder: Path) -> tuple[Any, Any, bool]:
    """Processor, network, and whether its depth is metric."""
    for name in _FILES:
        if not (folder / name).is_file():
            raise UserError(
                f"{folder}: no {name} in it; a folder as `save_pretrained` writes it is expected, such as a clone of "
                "huggingface.co/Intel/zoedepth-nyu-kitti or depth-anything/Depth-Anything-V2-Small-hf"
            )
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when it is imported
    try:
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        raise UserError(
            f"depth models need `transformers`, which is not in this project's lock ({error}); into this environment: "
            f"{INSTALL}"
        ) from None
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind, estimated = config["model_type"], config.get("depth_estimation_type")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / 'config.json'}: not the configuration of a model ({error!r:.80})") from None
    known = {**dict.fromkeys(METRIC, True), **dict.fromkeys(INVERSE, False)}
    known["depth_anything"] = estimated == "metric"
    if kind not in known:
        raise UserError(
            f"{folder}: a model of kind {kind!r}; what its numbers mean is known of {', '.join(sorted(known))}"
        )
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True, use_fast=False)
        network, found = transformers.AutoModelForDepthEstimation.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{folder}: cannot be loaded: {str(error)[:200]}") from None
    if found["missing_keys"] or found["mismatched_keys"]:
        missing = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
        raise UserError(f"{folder / 'model.safetensors'}: lacks {len(missing)} of the model's tensors: {missing[0]}, …")
    return processor, network, known[kind]


def _write(path: Path, depth: np.ndarray) -> None:
    """Write NPY or PFM (rows from the bottom up), complete or not at all."""
    half = path.with_name(f".{path.name}.part")
    with half.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, depth)
        else:
            file.writelines(_pfm(depth))
    os.replace(half, path)


def _pfm(depth: np.ndarray) -> Iterator[bytes]:
    yield f"Pf\n{depth.shape[1]} {depth.shape[0]}\n-1.0\n".encode()
    yield np.ascontiguousarray(depth[::-1], "<f4").tobytes()
