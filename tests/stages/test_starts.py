"""Encoders as artifacts: imported from any known layout, trained further, and handed on to classifiers."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import get_model

from robust3d.architectures import architecture
from robust3d.architectures.efficientnet_lite0 import WEIGHTS
from robust3d.errors import UserError
from robust3d.files import sha256
from robust3d.models.encoder import Encoder
from robust3d.models.files import save_state
from robust3d.stages import import_encoder
from robust3d.stages.pretrain import _encoder
from robust3d.tables.cells import ENCODER_FACTS
from robust3d.training.transfer import FACTS

torch.set_num_threads(1)


def imported(folder, path, told, **more):
    """What the stage writes: (state, info)."""
    outputs = {"encoder": folder / "encoder.safetensors", "info": folder / "encoder.json"}
    weights = {} if more.get("weights_sha256") == sha256(path) else {"weights": str(path)}
    params = {"method": "weights", "params": weights, "architecture": told, "normalisation": "half"}
    job = SimpleNamespace(
        params=params | {"weights_sha256": sha256(path)} | more,
        outputs=outputs,
        write_json=lambda name, value: outputs[name].write_text(json.dumps(value)),
    )
    import_encoder.run(job)
    return load_file(outputs["encoder"]), json.loads(outputs["info"].read_text())


@pytest.mark.parametrize("name", ["resnet18", "alexnet", "googlenet"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.backbone."])
@pytest.mark.parametrize("head", [True, False])
def test_weights_of_a_classifier_or_a_trunk_under_any_prefix_become_an_encoder(tmp_path, name, prefix, head):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        options = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}  # as it is published
        state = get_model(name, weights=None, num_classes=7, **options).state_dict()
    found = architecture(name)
    kept = state if head else found.without_head(state)
    torch.save({prefix + key: value for key, value in kept.items()}, tmp_path / "weights.pth")
    encoder, info = imported(tmp_path, tmp_path / "weights.pth", name)
    assert encoder.keys() == found.trunk().state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in encoder.items())
    assert info["start"]["prefix"] == prefix and info["normalisation"] == "half"
    assert info["sha256"] == sha256(tmp_path / "encoder.safetensors") and info["trained_tensors"] == 0
    assert set(FACTS) | set(ENCODER_FACTS) <= info.keys()


def test_weights_of_a_package_become_an_encoder_whose_description_names_no_place_of_this_machine(tmp_path):
    """What it gives is the published file's, tensor by tensor in the file's order."""
    path = WEIGHTS.installed()
    encoder, info = imported(tmp_path, path, "efficientnet_lite0", weights_sha256=sha256(path), normalisation="lite")
    published = list(torch.load(path, weights_only=True).values())
    trunk = architecture("efficientnet_lite0").trunk().state_dict()
    assert encoder.keys() == trunk.keys() and len(published) == len(trunk) + 2
    assert all(torch.equal(encoder[key], value) for key, value in zip(trunk, published))
    name = "the EfficientNet-Lite0 of TensorFlow"
    assert info["start"] == {"weights": name, "sha256": sha256(path), "prefix": "", "published": name}
    assert info["normalisation"] == "lite" and str(path.parent) not in json.dumps(info)


def test_a_packages_file_that_is_not_the_published_one_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "other.pth"
    torch.save(torch.load(WEIGHTS.installed(), weights_only=True), path)  # other bytes, as an edited file has
    monkeypatch.setattr(type(WEIGHTS), "installed", lambda self: path)
    with pytest.raises(UserError, match=r"other\.pth: not the published file any more"):
        imported(tmp_path, path, "efficientnet_lite0", weights_sha256=sha256(path), normalisation="lite")


def test_other_weights_and_other_bytes_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({key: value.clone() for key, value in get_model("resnet50").state_dict().items()}, path)
    with pytest.raises(UserError, match="torchvision's resnet50; those of resnet18 are needed"):
        imported(tmp_path, path, "resnet18")
    small = {"name": "resnet50", "params": {"stem": "small"}}
    with pytest.raises(
        UserError, match=f"{path} does not hold the trunk of the architecture resnet50: [^?]*size mismatch"
    ):
        imported(tmp_path, path, small)
    with pytest.raises(UserError, match="changed since this run was planned"):
        imported(tmp_path, path, "resnet50", weights_sha256="0" * 64)
    assert not (tmp_path / "encoder.json").exists()


def test_a_started_encoder_begins_where_the_other_was_left(tmp_path):
    other = Encoder(architecture("resnet18"), seed=9)
    save_state(other.trunk.state_dict(), tmp_path / "encoder.safetensors")
    info = {"method": "ae", "normalisation": "imagenet", "images_seen": 64, "steps": 4, "seed": 9, "sha256": "abc"}
    (tmp_path / "encoder.json").write_text(json.dumps(info | {"start": "random", "trained": {"conv1.weight": True}}))
    told = {"architecture": "resnet18", "normalisation": "half", "seed": 0}
    inputs = {"encoder": [tmp_path / "encoder.safetensors"], "encoder_info": [tmp_path / "encoder.json"]}
    encoder, start = _encoder(told, inputs)
    assert all(torch.equal(value, other.trunk.state_dict()[key]) for key, value in encoder.trunk.state_dict().items())
    assert encoder.normalisation == "half" and start == info | {"start": "random"}
    fresh, start = _encoder(told, {})
    assert start == "random" and not torch.equal(fresh.trunk.conv1.weight, encoder.trunk.conv1.weight)
    with pytest.raises(UserError, match="does not hold the trunk of the architecture alexnet"):
        _encoder(told | {"architecture": "alexnet"}, inputs)
