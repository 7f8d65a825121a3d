import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18

from robust3d.architectures import architecture
from robust3d.errors import UserError
from robust3d.models.classifier import Classifier
from robust3d.models.encoder import Encoder
from robust3d.models.files import load_state
from robust3d.models.recognition import trunk_state

RESNET18 = architecture("resnet18")

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def reference():
    """torchvision's network with weights and statistics of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = resnet18()
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.running_mean, -0.1, 0.1)
                nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return net.eval()


def test_random_weights_depend_on_the_seed_only():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = Encoder(RESNET18, seed=4).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second, other = (
        Encoder(RESNET18, seed=4).state_dict(),
        Encoder(RESNET18, seed=5).state_dict(),
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["trunk.conv1.weight"], other["trunk.conv1.weight"])
    # torchvision's scheme: Kaiming normal, fan out
    assert first["trunk.layer4.1.conv2.weight"].std() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


def test_trunk_has_torchvisions_keys_and_size(reference):
    trunk = Encoder(RESNET18).trunk
    keys = {key for key in reference.state_dict() if not key.startswith("fc.")}
    assert set(trunk.state_dict()) == keys and len(keys) == 120
    assert sum(weight.numel() for weight in trunk.parameters()) == 11_176_512


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("old", [False, True])
def test_imagenet_weights_from_a_file(tmp_path, reference, images, suffix, old):
    state = dict(reference.state_dict())
    if old:  # torchvision's first files hold no batch counters
        state = {key: value for key, value in state.items() if "num_batches" not in key}
    path = tmp_path / f"resnet18{suffix}"
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    encoder = Encoder(RESNET18).eval()
    RESNET18.load_trunk(encoder.trunk, trunk_state(load_state(path), path, RESNET18)[0], str(path))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    head = reference.fc
    with torch.no_grad():
        assert torch.allclose(head(encoder(images)), reference(normalised), atol=1e-5)


@pytest.mark.parametrize("content", [None, b"nonsense", {"conv1.weight": torch.zeros(64, 3, 3, 3)}])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_bad_weights_are_a_users_mistake(tmp_path, content, suffix):
    path = tmp_path / f"weights{suffix}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path) if suffix == ".pth" else save_file(content, path)
    with pytest.raises(UserError, match=str(path)):
        trunk_state(load_state(path), path, RESNET18)


def test_weights_files_are_not_unpickled(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    torch.save({"conv1.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="more than tensors"):
        load_state(tmp_path / "evil.pth")


def test_half_normalisation_maps_black_and_white_to_minus_one_and_one():
    normalise = Encoder(RESNET18, normalisation="half").normalise
    assert normalise(torch.zeros(1, 3, 1, 1)).flatten().tolist() == [-1, -1, -1]
    assert normalise(torch.ones(1, 3, 1, 1)).flatten().tolist() == [1, 1, 1]


def test_feature_maps_are_those_of_the_forward_pass(images):
    encoder = Encoder(RESNET18, seed=1).eval()
    seen = {}
    for name in ("relu", "layer1", "layer2", "layer3", "layer4"):
        getattr(encoder.trunk, name).register_forward_hook(lambda _, __, out, name=name: seen.setdefault(name, out))
    with torch.no_grad():
        pooled = encoder(images)
        expected = dict(seen)
        maps = encoder.feature_maps(images)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (64, 32, 32),
        (64, 16, 16),
        (128, 8, 8),
        (256, 4, 4),
        (512, 2, 2),
    ]
    for found, name in zip(maps, expected):
        assert torch.equal(found, expected[name]), name
    assert torch.allclose(maps[-1].mean((2, 3)), pooled, atol=1e-6)
    assert pooled.shape == (2, encoder.feature_dim)


def test_without_the_first_pool_layer1_keeps_the_size(images):
    maps = Encoder(RESNET18).eval().feature_maps(images, use_first_pool=False)
    assert [m.shape[-1] for m in maps] == [32, 32, 16, 8, 4]


def test_levels_left_out_are_not_touched(images):
    encoder = Encoder(RESNET18).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    maps = encoder.feature_maps(images, levels=4)
    assert len(maps) == 4
    sum(m.mean() for m in maps).backward()
    after = encoder.state_dict()
    for name in before:
        assert torch.equal(before[name], after[name]) == (
            ".layer4." in name or ("running" not in name and "num_batches" not in name)
        ), name
    assert all((p.grad is None) == n.startswith("trunk.layer4") for n, p in encoder.named_parameters())


def test_classifier_normalises_raw_images_itself(reference, images):
    classifier = Classifier(RESNET18, 1000).eval()
    classifier.network.load_state_dict(reference.state_dict())
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = reference((images - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        assert torch.allclose(classifier(images), expected, atol=1e-5)
    assert all(key.startswith("network.") for key in classifier.state_dict())
    assert torch.equal(
        Classifier(RESNET18, 7, seed=1).network.fc.weight,
        Classifier(RESNET18, 7, seed=1).network.fc.weight,
    )
