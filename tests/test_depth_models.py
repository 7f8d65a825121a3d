"""Depth maps by a model of `transformers`: a tiny random one where it is installed, and what is refused without."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from robust3d.data.depth_maps import DepthParams, depth_of, find_maps, read_map
from robust3d.errors import UserError
from robust3d.evaluate.depth_models import write_depth_maps

torch.set_num_threads(1)


@pytest.fixture
def pictures(tmp_path):
    for name, size in (("dogs/a.jpg", (40, 30)), ("cats/b.png", (33, 57))):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    return tmp_path / "pictures"


@pytest.fixture
def transformers(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("transformers", reason="transformers is not in this project's lock")


def depth_anything(transformers, folder, **more):
    """A DepthAnything of two layers with random weights, as `save_pretrained` writes it."""
    backbone = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=28, patch_size=14, mlp_ratio=2,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=32, neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8, head_hidden_size=8, **more,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.DepthAnythingForDepthEstimation(config)
    for value in model.head.parameters():  # its own start gives nothing but zeros
        torch.nn.init.normal_(value, std=0.5)
    torch.nn.init.constant_(model.head.conv3.bias, 1.0)
    model.save_pretrained(folder)
    transformers.DPTImageProcessor(
        size={"height": 28, "width": 28}, ensure_multiple_of=14, keep_aspect_ratio=True, do_pad=False
    ).save_pretrained(folder)
    return folder


def test_a_models_maps_are_its_own_output_at_the_pictures_size(transformers, pictures, tmp_path):
    model = depth_anything(transformers, tmp_path / "model")
    count, source = write_depth_maps(model, pictures, tmp_path / "out", "cpu")
    assert (count, source) == (2, "midas")
    asked = DepthParams(path=str(tmp_path / "out"), source=source, align="scale_shift")
    maps = find_maps(asked, ["dogs/a.jpg", "cats/b.png"])
    image = Image.open(pictures / "cats/b.png").convert("RGB")
    pipe = transformers.pipeline("depth-estimation", model=str(model), use_fast=False)  # the library's own way
    wanted = pipe(image)["predicted_depth"].squeeze().numpy()
    assert wanted.std() > 1e-3
    np.testing.assert_allclose(read_map(maps["cats/b.png"], asked, (57, 33)), wanted.clip(0), rtol=1e-4, atol=1e-6)
    assert np.isfinite(depth_of(maps["dogs/a.jpg"], asked, (30, 40))).mean() > 0.9
    assert write_depth_maps(model, pictures, tmp_path / "out", "cpu")[0] == 0  # those that are there stay


def test_a_metric_model_writes_metres(transformers, pictures, tmp_path):
    model = depth_anything(transformers, tmp_path / "model", depth_estimation_type="metric", max_depth=20)
    assert write_depth_maps(model, pictures, tmp_path / "out", "cpu") == (2, "plain")
    found = np.load(tmp_path / "out" / "dogs" / "a.npy")
    assert found.shape == (30, 40) and 0 < found.min() <= found.max() < 20


def test_weights_that_do_not_belong_to_the_model_are_refused(transformers, pictures, tmp_path):
    model = depth_anything(transformers, tmp_path / "model")
    from safetensors.torch import load_file, save_file

    state = load_file(model / "model.safetensors")
    kept = dict(list(state.items())[3:])
    save_file(kept, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"model\.safetensors: lacks 3 of the model's tensors"):
        write_depth_maps(model, pictures, tmp_path / "out", "cpu")


def test_without_the_library_or_the_files_one_message_says_what_to_do(pictures, tmp_path, monkeypatch):
    model = tmp_path / "model"
    model.mkdir()
    with pytest.raises(UserError, match=r"model: no config\.json in it; a folder as `save_pretrained` writes it"):
        write_depth_maps(model, pictures, tmp_path / "out", "cpu")
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (model / name).write_text(json.dumps({"model_type": "bert"}))
    monkeypatch.setitem(sys.modules, "transformers", None)  # as if it were not there
    with pytest.raises(UserError, match=r"need `transformers`, which is not in this project's lock .*: pip install"):
        write_depth_maps(model, pictures, tmp_path / "out", "cpu")
    monkeypatch.setitem(sys.modules, "transformers", object())
    with pytest.raises(UserError, match=r"a model of kind 'bert'; what its numbers mean is known of depth_anything"):
        write_depth_maps(model, pictures, tmp_path / "out", "cpu")
