"""Every architecture: trunk and head, layers, sizes, and copies for attacks that compute the same function."""

import copy
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from robust3d import registry
from robust3d.architectures import DEFAULT, ArchitectureParams, architecture
from robust3d.attacks.folding import Folded
from robust3d.attacks.params import PgdParams
from robust3d.attacks.pgd import pgd
from robust3d.attacks.twins import twins_of
from robust3d.attacks.victim import frozen
from robust3d.errors import UserError
from robust3d.models.architecture import batch_norms
from robust3d.models.classifier import Classifier
from robust3d.models.encoder import Encoder, seeded_initialisation
from robust3d.training.transfer import fold_normalisation, initialise_classifier

torch.set_num_threads(1)
SOURCE = Path(__file__).parents[2] / "src/robust3d"
TINY_VIT = {
    "name": "vit",
    "params": {"image_px": 32, "patch_px": 8, "width": 24, "heads": 3, "layers": 2, "mlp_width": 48},
}


def tiny_dinov2(size):
    return {"name": f"vit_{size}_patch14_dinov2", "params": {"image_px": 28, "blocks": 1}}


SIZES = [  # told, side of images in px
    ("resnet18", 32),
    ({"name": "resnet18", "params": {"stem": "small"}}, 16),
    ("resnet50", 32),
    ("alexnet", 64),
    ({"name": "alexnet", "params": {"stem": "small"}}, 32),
    ({"name": "alexnet", "params": {"stem": "strided", "hidden": 64, "initialisation": "he"}}, 29),
    ({"name": "vgg16", "params": {"hidden": 64}}, 32),
    ("googlenet", 32),
    ({"name": "googlenet", "params": {"stem": "small"}}, 16),
    ("efficientnet_lite0", 32),
    ({"name": "efficientnet_lite0", "params": {"stem": "small"}}, 16),
    ("efficientnet_lite1", 64),  # at 32 px rounding alone changes their logits by a hundredth
    ("efficientnet_lite2", 64),
    (TINY_VIT, 32),
    *[(tiny_dinov2(size), 28) for size in ("small", "base", "large")],
]
NAMES = [told if isinstance(told, str) else f"{told['name']}-{px}px" for told, px in SIZES]
every_one = pytest.mark.parametrize(("told", "px"), SIZES, ids=NAMES)
QUICK = ("resnet18", "googlenet", "efficientnet_lite0", "vit-32px")
every_one_in_time = (
    pytest.mark.parametrize(  # of the others the attacks' copies take many seconds to make and to compare
        ("told", "px"),
        [
            pytest.param(told, px, id=name, marks=() if name in QUICK else pytest.mark.slow)
            for (told, px), name in zip(SIZES, NAMES, strict=True)
        ],
    )
)


def images(px, count=4, seed=0):
    return torch.rand(count, 3, px, px, generator=torch.Generator().manual_seed(seed))


def a_little_trained(told, px):
    """A classifier whose head and batch norms are no longer as at the start, in train mode."""
    classifier = Classifier(architecture(told), 5, seed=1).to(memory_format=torch.channels_last).train()
    for layer in batch_norms(classifier):
        layer.momentum = None  # else a deep network dies in eval mode after so few steps
    optimiser = torch.optim.SGD(classifier.parameters(), 0.01)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for step in range(2):
            optimiser.zero_grad()
            F.cross_entropy(classifier(images(px, seed=step)), torch.arange(4)).backward()
            optimiser.step()
    return classifier


def test_each_module_is_tried_here():
    assert {ArchitectureParams.model_validate(told).name for told, _ in SIZES} == set(registry.names("architecture"))


@every_one
def test_a_trunk_is_the_network_without_its_head(told, px):
    found = architecture(told)
    network, trunk = found.network(5).eval(), found.trunk().eval()
    assert trunk.state_dict().keys() == found.without_head(network.state_dict()).keys()
    assert len(network.state_dict()) - len(trunk.state_dict()) == 2
    found.load_trunk(trunk, found.without_head(network.state_dict()), "here")
    head = network.get_submodule(found.head)
    assert (head.in_features, head.out_features) == (found.feature_dim, 5)
    nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(0))  # a transformer's starts at zero
    with torch.no_grad():
        features = trunk(images(px))
        assert features.shape == (4, found.feature_dim) and features.std() > 0
        assert torch.allclose(head(features), network(images(px)), atol=1e-5)
    encoder = Encoder(found, seed=3)
    assert encoder.feature_dim == found.feature_dim and encoder.trunk.state_dict().keys() == trunk.state_dict().keys()


def test_random_weights_are_torchvisions_own_drawn_in_its_order():
    """The weights of a seed must never change: results of years rest on them."""
    from torchvision.models import resnet18

    with seeded_initialisation(4, "resnet18"):
        wanted = resnet18().state_dict()
    found = Encoder(architecture("resnet18"), seed=4).trunk.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in found.items())
    with seeded_initialisation(4, "classifier"):
        wanted = resnet18(num_classes=7).state_dict()
    found = Classifier(architecture("resnet18"), 7, seed=4).network.state_dict()
    assert found.keys() == wanted.keys() and all(torch.equal(value, wanted[name]) for name, value in found.items())


@every_one
def test_what_planning_says_of_batch_norms_and_pyramids_is_so(told, px):
    params, found = ArchitectureParams.model_validate(told), architecture(told)
    encoder = Encoder(found).eval()
    assert params.batch_norms == bool(batch_norms(encoder)) and params.pyramid == bool(found.maps)
    if found.maps is None:
        with pytest.raises(UserError, match=f"architecture: 2 feature maps are asked for, and {found.name} has none"):
            encoder.feature_maps(images(px), 2)
        return
    with torch.no_grad():
        maps = encoder.feature_maps(images(px), len(found.channels))
    assert tuple(m.shape[1] for m in maps) == found.channels
    assert [m.shape[-1] for m in maps] == sorted((m.shape[-1] for m in maps), reverse=True)


@every_one
def test_tokens_have_the_channels_that_are_announced_and_the_class_token_is_the_feature(told, px):
    params, found = ArchitectureParams.model_validate(told), architecture(told)
    encoder = Encoder(found).eval()
    assert params.tokens == (found.tokens is not None)
    if found.tokens is None:
        with pytest.raises(UserError, match=f"architecture: {found.name} has neither tokens nor a feature pyramid"):
            encoder.tokens(images(px))
        return
    with torch.no_grad():
        patches, class_token, (rows, columns) = encoder.tokens(images(px))
        features = encoder(images(px))
    assert (patches.shape[2], class_token.shape[1]) == found.token_channels
    assert patches.shape[:2] == (4, rows * columns) and len(class_token) == 4
    assert torch.allclose(class_token[:, -found.feature_dim :], features, atol=1e-5)  # of the last layer


@every_one
def test_layers_can_be_asked_for_by_name(told, px):
    found = architecture(told)
    network = found.network(5).eval()
    outputs = found.outputs(network, images(px), found.layers)
    assert tuple(outputs) == found.layers and all(len(output) == 4 for output in outputs.values())
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(UserError, match=f"{found.name} has no layer 'nowhere'; it has {re.escape(found.layers[0])}"):
        found.outputs(network, images(px), ["nowhere"])


@every_one
def test_the_smallest_images_work_and_smaller_ones_are_refused(told, px):
    found = architecture(told)
    smallest = found.smallest_px
    with torch.no_grad():
        Encoder(found).eval()(images(smallest))
    if smallest > 1:
        with pytest.raises(UserError, match=f"test.npz: {smallest - 1} px, but the architecture {found.name} takes"):
            found.check_size(smallest - 1, "test.npz")
        with pytest.raises(UserError, match="the encoder's images"):
            Encoder(found)(images(smallest - 1))
        with pytest.raises((RuntimeError, AssertionError)), torch.no_grad():  # not refused without a reason
            found.network(5).eval()(images(smallest - 1))


@pytest.mark.parametrize(
    ("name", "layer"),
    [("resnet18", "relu"), ("alexnet", "features.1"), ("googlenet", "conv1"), ("efficientnet_lite0", "bn1")],
)
def test_small_stems_keep_the_size_of_the_image(name, layer):
    found = architecture({"name": name, "params": {"stem": "small"}})
    assert found.outputs(found.network(5).eval(), images(32), [layer])[layer].shape[-1] == 32


@every_one
def test_a_network_in_training_is_attacked_as_in_eval_mode(told, px):
    """No dropout, no batch statistics, and the weights as they are now."""
    classifier = a_little_trained(told, px)
    folded = Folded(classifier, images(px), blocked=True)
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.mul_(1.01)
    folded.refresh()
    before = copy.deepcopy(classifier.state_dict())
    with torch.no_grad():
        found = folded(images(px, seed=9))
        assert classifier.training
        assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())
        wanted = classifier.eval()(images(px, seed=9))
    assert (found - wanted).abs().max() <= 1e-4 * wanted.abs().max()


@every_one_in_time
def test_the_attacks_copies_are_the_network_or_are_not_used(told, px):
    classifier = a_little_trained(told, px).eval()
    notices = []
    with frozen(classifier):
        twins = twins_of(classifier, images(px), notices)
        assert (twins is None) == bool(notices)
        if twins is None:
            return
        with torch.no_grad():
            wanted = classifier(images(px, seed=9))
            assert (twins.inference(images(px, seed=9)) - wanted).abs().max() <= 1e-3 * wanted.abs().max()
    adversarial, _ = pgd(twins.differentiable, images(px), torch.arange(4), PgdParams(steps=2))
    assert not torch.equal(adversarial, images(px))


@every_one
def test_a_change_of_normalisation_folds_into_the_first_layer(told, px):
    found = architecture(told)
    encoder, other = Encoder(found, "half", seed=1).eval(), Encoder(found, "imagenet", seed=2).eval()
    state = fold_normalisation(encoder.trunk.state_dict(), found, "half", "imagenet")
    found.load_trunk(other.trunk, state, "here")
    name = found.first[0].removesuffix(".weight")
    after = name if found.first[1].startswith(name) else found.first[1].removesuffix(".running_mean")
    seen = []
    for one in (encoder, other):
        hook = one.trunk.get_submodule(after).register_forward_hook(lambda _, __, output: seen.append(output.clone()))
        with torch.no_grad():
            one(images(px))
        hook.remove()
    inside = (..., slice(2, -2), slice(2, -2)) if "vit" not in found.name else ...
    assert torch.allclose(seen[0][inside], seen[1][inside], atol=1e-4)


@pytest.mark.parametrize("told", ["alexnet", TINY_VIT], ids=["alexnet", "vit"])
@pytest.mark.parametrize("batchnorm", ["reset", "recalibrate"])
def test_batch_norms_that_are_not_there_are_refused(told, batchnorm):
    found = architecture(told)
    classifier = Classifier(found, 5)
    trunk = found.trunk().state_dict()
    with pytest.raises(UserError, match=f"batchnorm: {batchnorm}, but {found.name} has no batch norms"):
        initialise_classifier(classifier, trunk, "imagenet", batchnorm=batchnorm, recalibration=torch.zeros(1))
    initialise_classifier(classifier, trunk, "imagenet")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("resnet19", r"there is no architecture called 'resnet19': robust3d.architectures have alexnet, efficientnet_"),
        ({"name": "resnet18", "params": {"stem": "big"}}, "architecture.params.stem: Input should be 'imagenet' or"),
        ({"name": "resnet18", "stem": "small"}, "architecture.stem: unknown key"),
        ({"name": "vit", "params": {"patch_px": 9}}, "patch_px: patches of 9 px do not tile 224 px"),
        ({"name": "vit", "params": {"heads": 7}}, "heads: 7 heads cannot share a width of 768"),
        ({"params": {}}, "architecture.name: missing"),
        (3, "architecture: "),
    ],
)
def test_what_there_is_not_is_refused(told, says):
    with pytest.raises(ValueError, match=says):
        architecture(told)


def test_a_name_alone_stands_for_the_defaults():
    assert ArchitectureParams.model_validate(DEFAULT).model_dump() == {"name": DEFAULT, "params": {"stem": "imagenet"}}
    assert (
        ArchitectureParams.model_validate({"name": "resnet50", "params": {"stem": "small"}}).text
        == "resnet50 (stem: small)"
    )
    assert ArchitectureParams.model_validate("resnet50").text == "resnet50"


def test_one_architecture_is_named_where_it_is_defined_and_as_the_default():
    """So that another one needs no edit elsewhere."""
    names = registry.names("architecture")
    texts = {str(path.relative_to(SOURCE)): path.read_text() for path in SOURCE.rglob("*.py")}
    for name in names:
        longer = re.compile("|".join(other for other in names if name in other and name != other) or "$^")
        naming = {
            path
            for path, text in texts.items()
            if re.search(rf"\b{name}\b|[a-z_]{name}\b|\b{name}[A-Z_]", longer.sub("", text), re.IGNORECASE)
        }
        published = {file for file in naming if file.endswith("/reported.py")} | {"distortions/parameters.py"}
        # Beside it, numbers that papers print of a network may name it.
        assert naming - published - {"architectures/__init__.py", "command_line.py"} == {f"architectures/{name}.py"}, (
            name
        )
    assert DEFAULT == "resnet18"


def test_editing_one_architecture_makes_no_others_artifacts_stale():
    from robust3d.study.closure import closure

    for stage in ("pretrain", "train_classifier", "import_encoder", "probe"):
        modules = closure((f"robust3d.stages.{stage}", "robust3d.architectures.resnet18"))
        assert [name for name in modules if name.startswith("robust3d.architectures.")] == [
            "robust3d.architectures.resnet18"
        ]
