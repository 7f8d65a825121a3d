import copy

import pytest
import torch
from safetensors.torch import load_file, save_file

from robust3d.architectures import architecture
from robust3d.errors import UserError
from robust3d.models.classifier import Classifier
from robust3d.models.encoder import Encoder
from robust3d.training.classification import to_unit
from robust3d.training.transfer import extract_encoder, fold_normalisation, initialise_classifier

RESNET18 = architecture("resnet18")

torch.set_num_threads(1)


def raw_images(count=12, px=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, px, px), generator=generator, dtype=torch.uint8)


def pretrain(normalisation="imagenet", levels=None, steps=2):
    """An encoder trained for two steps, with `levels` through its feature maps as pixelNeRF does."""
    encoder = Encoder(RESNET18, normalisation=normalisation, seed=1).train()
    before = copy.deepcopy(encoder.trunk.state_dict())
    optimiser = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    images = to_unit(raw_images())
    for _ in range(steps):
        outputs = [encoder(images)] if levels is None else encoder.feature_maps(images, levels)
        optimiser.zero_grad()
        sum((out - 1).square().mean() for out in outputs).backward()
        optimiser.step()
    return encoder.eval(), before


def features(classifier, images):
    seen = []
    handle = classifier.network.avgpool.register_forward_hook(lambda _, __, out: seen.append(out.flatten(1)))
    with torch.no_grad():
        classifier.eval()(images)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("normalisation", ["imagenet", "half"])
def test_export_and_strict_load_give_the_encoders_features(tmp_path, normalisation):
    encoder, before = pretrain(normalisation)
    state, _ = extract_encoder(before, encoder.trunk.state_dict())
    save_file(state, tmp_path / "model.safetensors")
    classifier = Classifier(RESNET18, 7, normalisation, seed=2)
    head = copy.deepcopy(classifier.network.fc.state_dict())
    initialise_classifier(classifier, load_file(tmp_path / "model.safetensors"), normalisation)
    images = to_unit(raw_images(seed=5))
    with torch.no_grad():
        expected = encoder(images)
    assert (features(classifier, images) - expected).abs().max() <= 1e-5
    assert all(torch.equal(head[key], value) for key, value in classifier.network.fc.state_dict().items())


def test_trained_flags_come_from_the_bytes():
    encoder, before = pretrain()
    state, info = extract_encoder(before, encoder.trunk.state_dict(), method="dvr", images_seen=24)
    assert (info["trained_tensors"], info["tensors"], info["images_seen"]) == (120, 120, 24)
    assert info["trained"].keys() == state.keys()

    encoder, before = pretrain(levels=4)
    _, info = extract_encoder(before, encoder.trunk.state_dict())
    untrained = {name for name, trained in info["trained"].items() if not trained}
    assert untrained == {name for name in before if name.startswith("layer4.")} and len(untrained) == 30

    after = {name: value.clone() for name, value in before.items()}
    after["layer2.0.bn1.bias"][3] = -0.0  # equal as a number, not as bytes
    _, info = extract_encoder(before, after)
    assert [name for name, trained in info["trained"].items() if trained] == ["layer2.0.bn1.bias"]


def test_extraction_copies_and_compares_like_with_like():
    encoder, before = pretrain()
    state, _ = extract_encoder(before, encoder.trunk.state_dict())
    with torch.no_grad():
        encoder.trunk.conv1.weight.zero_()
    assert state["conv1.weight"].abs().sum() > 0
    del before["bn1.weight"]
    with pytest.raises(ValueError, match=r"bn1\.weight"):
        extract_encoder(before, encoder.trunk.state_dict())


@pytest.mark.parametrize(
    "break_it", [lambda s: s.pop("layer3.0.conv1.weight"), lambda s: s.update(extra=torch.ones(1))]
)
def test_missing_and_foreign_tensors_are_refused(break_it):
    encoder, before = pretrain()
    state, _ = extract_encoder(before, encoder.trunk.state_dict())
    break_it(state)
    with pytest.raises(UserError, match=r"layer3\.0\.conv1\.weight|extra"):
        initialise_classifier(Classifier(RESNET18, 7), state, "imagenet")


def test_folded_normalisation_is_exact_away_from_the_border():
    encoder, _ = pretrain("half")
    images = to_unit(raw_images(px=64))
    state = fold_normalisation(encoder.trunk.state_dict(), RESNET18, "half", "imagenet")
    other = Encoder(RESNET18, normalisation="imagenet").eval()
    other.trunk.load_state_dict(state)
    with torch.no_grad():
        wanted, found = (net.feature_maps(images, levels=1)[0] for net in (encoder, other))
        unfolded = Encoder(RESNET18, normalisation="imagenet").eval()
        unfolded.trunk.load_state_dict(encoder.trunk.state_dict())
        naive = unfolded.feature_maps(images, levels=1)[0]
    inner = (..., slice(2, -2), slice(2, -2))  # conv1 is 7 wide with stride 2
    assert torch.allclose(found[inner], wanted[inner], atol=1e-5)
    assert (naive[inner] - wanted[inner]).abs().max() > 0.1


def test_the_classifier_folds_when_told_to():
    encoder, _ = pretrain("half")
    trunk = encoder.trunk.state_dict()
    kept, folded = Classifier(RESNET18, 7), Classifier(RESNET18, 7)
    initialise_classifier(kept, trunk, "half")
    initialise_classifier(folded, trunk, "half", normalisation_change="fold")
    assert torch.equal(kept.network.conv1.weight, trunk["conv1.weight"])
    expected = fold_normalisation(trunk, RESNET18, "half", "imagenet")["conv1.weight"]
    assert torch.equal(folded.network.conv1.weight, expected)


def test_batchnorm_keep_reset_and_recalibrate():
    encoder, _ = pretrain()
    trunk = encoder.trunk.state_dict()
    images = raw_images(count=21, seed=8)
    kept, reset, recalibrated = (
        Classifier(RESNET18, 7),
        Classifier(RESNET18, 7),
        Classifier(RESNET18, 7),
    )
    initialise_classifier(kept, trunk, "imagenet")
    initialise_classifier(reset, trunk, "imagenet", batchnorm="reset")
    initialise_classifier(recalibrated, trunk, "imagenet", batchnorm="recalibrate", recalibration=images, batch_size=10)

    assert torch.equal(kept.network.bn1.running_mean, trunk["bn1.running_mean"])
    for name, layer in reset.network.named_modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert (layer.running_mean == 0).all() and (layer.running_var == 1).all()
            assert torch.equal(layer.weight, trunk[f"{name}.weight"])

    # two full batches of ten, the last single image is left out
    with torch.no_grad():
        maps = [encoder.trunk.conv1(encoder.normalise(to_unit(batch))) for batch in images[:20].split(10)]
    bn = recalibrated.network.bn1
    assert bn.num_batches_tracked == 2 and bn.momentum == 0.1 and not recalibrated.training
    assert torch.allclose(bn.running_mean, sum(m.mean((0, 2, 3)) for m in maps) / 2, atol=1e-5)
    assert torch.allclose(bn.running_var, sum(m.var((0, 2, 3)) for m in maps) / 2, rtol=1e-4)
    with pytest.raises(ValueError, match="images"):
        initialise_classifier(Classifier(RESNET18, 7), trunk, "imagenet", batchnorm="recalibrate")
