"""`robust3d evaluate` on checkpoints of others: what it reads, what it refuses, and when its numbers are not valid."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18

from robust3d import evaluate as command
from robust3d.attacks import parts
from robust3d.attacks.autoattack import evaluate
from robust3d.errors import UserError
from robust3d.models.files import load_state


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return resnet18(num_classes=3)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command at a few iterations on three images; returns stdout and stderr."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)

    def shortly(model, images, labels, params, **more):
        short = {"iterations": 2, "square_queries": 2}
        return evaluate(model, images, labels, params.model_copy(update=short), **more)

    monkeypatch.setattr(parts, "evaluate", shortly)

    def call(checkpoint: Path, labels=(0, 1, 2), epsilon="8/255", **options) -> tuple[str, str]:
        np.savez(tmp_path / "images.npz", images=pixels, labels=np.array(labels))
        given = {"norm": "Linf", "backend": "own", "normalisation": None, "outcomes": None, "json": False}
        given |= {"resolution": None, "resize": None, "batch_size": None, "architecture": None, **options}
        command.evaluate_checkpoint(
            argparse.Namespace(checkpoint=checkpoint, images=tmp_path / "images.npz", epsilon=[epsilon], **given)
        )
        return capsys.readouterr()

    call.capsys = capsys
    return call


def constant(network: nn.Module) -> dict[str, torch.Tensor]:
    state = {name: value.clone() for name, value in network.state_dict().items()}
    state["fc.weight"].zero_()
    state["fc.bias"].copy_(torch.tensor([1.0, 0.0, 0.0]))
    return state


def test_a_shared_prefix_is_left_out_and_said(network, run, tmp_path):
    """As in a Lightning checkpoint of a model under DataParallel."""
    state = {f"model.module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "a.ckpt")
    out, _ = run(tmp_path / "a.ckpt", labels=(1, 1, 1))
    assert "3 images, 3 classes, resnet18, keys without 'model.module.', backend own" in out


def test_accuracies_that_mean_nothing_are_not_printed(network, run, tmp_path):
    save_file(constant(network), tmp_path / "constant.safetensors")
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path / "constant.safetensors", labels=(0, 0, 1), outcomes=tmp_path / "o.parquet")
    out, err = run.capsys.readouterr()
    assert stopped.value.code == 1 and (tmp_path / "o.parquet").is_file()
    assert "clean                   66.67 %" in out and "Linf 8/255             not valid\n" in out
    assert "not valid: 66.7% of the images are robust" in err and "their gradients are zero" in err


def test_outcomes_that_cannot_be_written_are_refused_before_the_attack_and_lose_no_number_after_it(
    network, run, tmp_path, monkeypatch
):
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    (tmp_path / "file").write_text("")
    for place, told in ((tmp_path, "a folder"), (tmp_path / "no/o.pq", "no such"), (tmp_path / "file/o.pq", "no such")):
        with monkeypatch.context() as patch, pytest.raises(UserError, match=f"--outcomes {place}: {told}"):
            patch.setattr(command, "evaluate_in_parts", lambda *_: pytest.fail("attacked"))
            run(tmp_path / "a.safetensors", outcomes=place)

    def full(frame, path):
        path.write_text("half")
        raise OSError(28, "no space")

    monkeypatch.setattr(command, "save_set", full)
    with pytest.raises(UserError, match=r"o\.parquet: cannot be written \(no room\)"):
        run(tmp_path / "a.safetensors", outcomes=tmp_path / "o.parquet")
    assert "Linf 8/255" in run.capsys.readouterr().out
    assert not list(tmp_path.glob("*o.parquet"))


def test_clean_accuracy_at_chance_is_a_loud_warning_with_its_causes(network, run, tmp_path):
    save_file(constant(network), tmp_path / "constant.safetensors")
    out, err = run(tmp_path / "constant.safetensors", labels=(2, 2, 1))
    assert "Linf 8/255               0.00 %" in out
    assert "warning: CLEAN ACCURACY IS NOT ABOVE CHANCE" in err
    assert all(cause in err for cause in ("--normalisation", "order of the classes", "BGR instead of RGB"))


def test_weights_that_are_not_finite_are_refused_by_name(network, run, tmp_path):
    state = {name: value.clone() for name, value in network.state_dict().items()}
    state["layer2.1.bn2.running_var"][3] = torch.nan
    state["fc.bias"][:2] = torch.inf
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"a\.safetensors: .*fc\.bias \(2 of 3\), layer2\.1\.bn2\.running_var \(1 of"):
        run(tmp_path / "a.safetensors")
    save_file({name: value.double() * 1e40 for name, value in state.items()}, tmp_path / "b.safetensors")
    with pytest.raises(UserError, match="NaN or infinite"):  # in fp32, which is what the network computes in
        run(tmp_path / "b.safetensors")


def test_overflow_on_a_clean_image_is_refused(network, run, tmp_path):
    state = {name: value.clone() for name, value in network.state_dict().items()}
    state["fc.weight"] *= 3e38
    state["bn1.weight"] *= 1e6
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"a\.safetensors on .*images\.npz: .* NaN or infinite on 3 of 3 clean images"):
        run(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("epsilon", "options", "told"),
    [
        ("8", {}, "did you mean 8/255?"),
        ("1e999", {}, "'1e999' is no budget"),
        ("1e999999999", {}, "is no budget"),
        ("nan", {}, "is no budget"),
        ("8/0", {}, "is no budget"),
        ("0", {}, "above 0"),
        ("128", {"norm": "L2"}, "did you mean 128/255?"),
    ],
)
def test_odd_budgets_are_refused(network, run, tmp_path, epsilon, options, told):
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(UserError) as refused:
        run(tmp_path / "a.safetensors", epsilon=epsilon, **options)
    assert told in str(refused.value)


class Unpickled(nn.Module):
    """Says so if it is ever made from a file."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def __setstate__(self, state):
        raise AssertionError("unpickled")


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_whole_model_is_not_unpickled_and_the_two_lines_that_help_are_told(network, run, tmp_path, wrapped):
    path = tmp_path / "whole.pt"
    torch.save(Unpickled(network) if wrapped else network, path)
    with pytest.raises(UserError, match="whole model") as refused:
        run(path)
    first, second = str(refused.value).splitlines()[1:]
    assert first.strip() == f'content = torch.load("{path}", weights_only=False)'
    assert second.strip() == 'torch.save(content.state_dict(), "state.pt")'
    if not wrapped:
        lines = f"import torch\n{first.strip()}\n{second.strip()}".replace("state.pt", str(tmp_path / "state.pt"))
        exec(lines, {})
        assert load_state(tmp_path / "state.pt").keys() == network.state_dict().keys()


def test_what_torch_saves_besides_is_told_apart(network, run, tmp_path):
    state = network.state_dict()
    torch.jit.save(torch.jit.script(network), tmp_path / "script.pt")
    torch.save({"state_dict": state, "options": argparse.Namespace(a=1)}, tmp_path / "objects.pt")
    torch.save({"model": state, "ema": state}, tmp_path / "two.pt")
    torch.save({"state_dict": state, "state_dict_ema": state, "epoch": 3}, tmp_path / "timm.pt")
    torch.save({0: torch.ones(3)}, tmp_path / "number.pt")
    torch.save({"fc.bias": torch.ones(3).to_sparse()}, tmp_path / "sparse.pt")
    save_file(state, tmp_path / "tensors.pt")
    (tmp_path / "page.pt").write_text("<html>404 Not Found</html>")
    (tmp_path / "empty.pt").write_text("")
    for name, told in (
        ("script.pt", r"torch\.jit\.load"),
        ("objects.pt", r'argparse\.Namespace[\s\S]*torch\.save\(content\["state_dict"\]'),
        ("two.pt", "several: model, ema"),
        ("timm.pt", "several: state_dict, state_dict_ema"),
        ("number.pt", "expected a state dict of tensors$"),
        ("sparse.pt", "expected a state dict of tensors$"),
        ("tensors.pt", r"name that ends with \.safetensors"),
        ("page.pt", "no file of weights; it begins with b'<html>"),
        ("empty.pt", "ends too soon"),
    ):
        with pytest.raises(UserError, match=told):
            run(tmp_path / name)
    torch.save({"net": state, "optimizer": {"state": {}, "param_groups": []}, "acc": 91.0}, tmp_path / "one.pt")
    assert load_state(tmp_path / "one.pt").keys() == state.keys()
