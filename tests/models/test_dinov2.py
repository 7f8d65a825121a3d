"""DINOv2: files of its authors and of timm give the features of timm's own network; other files are refused."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robust3d.architectures import ArchitectureParams, architecture
from robust3d.errors import UserError
from robust3d.evaluate.networks import open_network
from robust3d.models.dinov2 import positions
from robust3d.models.encoder import Encoder
from robust3d.models.files import load_state
from robust3d.models.recognition import trunk_state
from robust3d.study.entries import Pretraining

torch.set_num_threads(1)
NAME, BLOCKS = "vit_small_patch14_dinov2", 5


def small(image_px):
    return architecture({"name": NAME, "params": {"image_px": image_px, "blocks": BLOCKS}})


@pytest.fixture(scope="module")
def by_timm() -> nn.Module:
    """timm's network for images of 56 px with weights that all matter, a published one in small."""
    from timm import create_model

    network = create_model(NAME, pretrained=False, num_classes=0, img_size=56, depth=BLOCKS).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.parameters():
            value.normal_(0, 0.1, generator=generator)
    return network


def authors(state):
    """As the authors' training code saves it: blocks in two chunks, whose numbers go on, and the mask token."""
    renamed = {}
    for key, value in state.items():
        found = re.match(r"blocks\.(\d+)\.(.*)", key)
        renamed[f"blocks.{int(found[1]) // 3}.{found[1]}.{found[2]}" if found else key] = value
    return {**renamed, "mask_token": torch.ones(1, 384)}


def loaded(path, px):
    found = small(px)
    encoder = Encoder(found, seed=3).eval()
    state, _ = trunk_state(load_state(path), path, found)
    found.load_trunk(encoder.trunk, state, str(path))
    return encoder


def images(px, count=2):
    return torch.rand(count, 3, px, px, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_the_authors_and_timms_names_give_timms_features(by_timm, prefix, tmp_path):
    state = by_timm.state_dict()
    torch.save({prefix + key: value for key, value in authors(state).items()}, tmp_path / "authors.pth")
    torch.save({**state, "mask_token": torch.ones(1, 384)}, tmp_path / "hub.pth")  # as they publish it: not in chunks
    save_file(state, tmp_path / "timm.safetensors")
    encoders = [loaded(tmp_path / name, 56) for name in ("authors.pth", "hub.pth", "timm.safetensors")]
    pixels = images(56)
    with torch.no_grad():
        wanted = by_timm.get_intermediate_layers(
            encoders[0].normalise(pixels), n=4, return_prefix_tokens=True, norm=True
        )
        for encoder in encoders:
            patches, class_token, grid = encoder.tokens(pixels)
            assert grid == (4, 4)
            assert torch.allclose(patches, torch.cat([layer for layer, _ in wanted], 2), atol=1e-5)
            assert torch.allclose(class_token, torch.cat([special[:, 0] for _, special in wanted], 1), atol=1e-5)
            assert torch.equal(encoder(pixels), encoders[0](pixels))
    assert patches.std() > 0.05 and not torch.allclose(patches[0], patches[1], atol=1e-3)


def cubic(x):
    """Keys' kernel with a = -0.75, as torch has it."""
    x = abs(x)
    if x <= 1:
        return 1.25 * x**3 - 2.25 * x**2 + 1
    return -0.75 * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def test_positions_are_interpolated_as_the_authors_code_does():
    """Bicubic with the scale (16 + 0.1) / 37, by hand."""
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(1, 1 + 37 * 37, 3, generator=generator)
    weights = np.zeros((16, 37))
    for row in range(16):
        at = (row + 0.5) * 37 / 16.1 - 0.5
        for source in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            weights[row, min(max(source, 0), 36)] += cubic(at - source)
    wanted = np.einsum("ir,jc,rck->ijk", weights, weights, embedding[0, 1:].view(37, 37, 3).double().numpy())
    found = positions(embedding, 16)
    assert torch.equal(found[:, 0], embedding[:, 0])
    assert np.abs(found[0, 1:].view(16, 16, 3).numpy() - wanted).max() < 1e-5
    assert positions(embedding, 37) is embedding


def test_files_of_518_px_serve_other_sizes(by_timm, tmp_path):
    save_file(by_timm.state_dict(), tmp_path / "timm.safetensors")
    encoder = loaded(tmp_path / "timm.safetensors", 28)
    assert torch.equal(encoder.trunk.pos_embed.data, positions(by_timm.pos_embed.data, 2))
    with torch.no_grad():
        assert encoder.tokens(images(28)).grid == (2, 2)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda state: {**state, "register_tokens": torch.zeros(1, 4, 384)}, "Too many: register_tokens"),
        (lambda state: {k: v for k, v in state.items() if k != "blocks.2.ls1.gamma"}, "Missing: blocks.2.ls1.gamma"),
        (lambda state: {**state, "norm.weight": torch.zeros(768)}, "size mismatch for norm.weight"),
        (lambda state: {**state, "pos_embed": torch.zeros(1, 7, 384)}, "size mismatch for pos_embed"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_its_tensor(by_timm, spoil, says, tmp_path):
    path = tmp_path / "spoilt.pth"
    torch.save(spoil(by_timm.state_dict()), path)
    with pytest.raises(UserError, match=says) as raised:
        loaded(path, 56)
    assert str(path) in str(raised.value)


def test_images_smaller_than_a_patch_are_refused_with_the_key():
    for px, says in ((7, "a multiple of 14"), (0, "greater than or equal to 14"), (30, "a multiple of 14")):
        with pytest.raises(ValueError, match=f"architecture.params.image_px: .*{says}"):
            small(px)
    with pytest.raises(UserError, match=r"7 px, but the architecture .* takes images of exactly 28 px"):
        Encoder(small(28)).tokens(images(7))


def test_a_missing_file_says_where_it_is_published(tmp_path):
    from types import SimpleNamespace

    from robust3d.study.needs import data_of

    entry = Pretraining(
        label="DINOv2", method="weights", architecture=NAME, params={"weights": str(tmp_path / "no.pth")}
    )
    job = SimpleNamespace(
        key="",
        stage="import_encoder",
        label="dinov2",
        params={"architecture": entry.architecture, "params": entry.method_params()},
    )
    (said,) = data_of(job).values()
    assert "no.pth" in said and "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth" in said


def test_a_backbone_is_no_classifier():
    assert ArchitectureParams.model_validate(NAME).tokens and not ArchitectureParams.model_validate(NAME).batch_norms
    with pytest.raises(UserError, match="is a backbone without classes"):
        open_network(Path(NAME), None, None)
