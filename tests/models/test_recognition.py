from pathlib import Path

import pytest
import torch
import torchvision

from robust3d.architectures import architecture
from robust3d.errors import UserError
from robust3d.models.recognition import classifier_state

HERE = Path("a.pt")
RESNET18 = architecture("resnet18")


def state_of(name: str, prefix: str = "", **options) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        state = torchvision.models.get_model(name, weights=None, **options).state_dict()
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "model.module.", "_orig_mod.", "net.0."])
def test_a_prefix_that_all_keys_share_is_left_out(prefix):
    wanted = state_of("resnet18", num_classes=7)
    found, left_out = classifier_state(state_of("resnet18", prefix, num_classes=7), HERE, RESNET18)
    assert left_out == prefix and found.keys() == wanted.keys()


def test_counters_of_batches_may_be_missing_as_in_files_of_early_torch(monkeypatch):
    monkeypatch.setattr(torchvision.models, "list_models", lambda module: ["resnet50"])
    early, other = (
        {key: value for key, value in state_of(name, "module.").items() if not key.endswith("num_batches_tracked")}
        for name in ("resnet18", "resnet50")
    )
    found, left_out = classifier_state(early, HERE, RESNET18)
    assert len(found) == 102 and left_out == "module."
    torchvision.models.resnet18().to("meta").load_state_dict(found)
    with pytest.raises(UserError, match="torchvision's resnet50"):
        classifier_state(other, HERE, RESNET18)
    with pytest.raises(UserError, match=r"Missing: module.fc.bias. Too many: none"):
        classifier_state({key: value for key, value in early.items() if key != "module.fc.bias"}, HERE, RESNET18)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (lambda: state_of("resnet50", num_classes=7), "torchvision's resnet50; those of resnet18 are needed"),
        (lambda: state_of("wide_resnet50_2", "model."), r"torchvision's wide_resnet50_2 \(under the prefix 'model.'\)"),
        (lambda: state_of("resnet18") | {"loss.weight": torch.ones(3)}, "Missing: none. Too many: loss.weight$"),
        (
            lambda: state_of("resnet18", "model.") | {"loss.weight": torch.ones(3)},
            "Missing: none. Too many: loss.weight$",
        ),
        (lambda: state_of("resnet18", "m.") | state_of("resnet18", "ema."), "Missing: none. Too many: .* and 118 more"),
        (
            lambda: {key: value for key, value in state_of("resnet18").items() if not key.startswith("fc.")},
            "Missing: fc.bias, fc.weight. Too many: none$",
        ),
        (lambda: {"module" + key: value for key, value in state_of("resnet18").items()}, "Too many: modulebn1.bias"),
        (lambda: {"fc.weight": torch.ones(3, 512), "fc.bias": torch.ones(3)}, "Missing: bn1.bias"),
        (lambda: {}, "Missing: bn1.bias.* Too many: none"),
    ],
)
def test_other_tensors_are_refused_with_what_they_are(state, told, monkeypatch):
    fewer = ["alexnet", "resnet18", "resnet50", "wide_resnet50_2"]
    monkeypatch.setattr(torchvision.models, "list_models", lambda module: fewer)
    with pytest.raises(UserError, match=told):
        classifier_state(state(), HERE, RESNET18)


@pytest.mark.slow
def test_every_classifier_of_torchvision_is_named():
    for name in torchvision.models.list_models(module=torchvision.models):
        try:
            state = state_of(name)
        except NotImplementedError:  # some cannot be built without memory
            continue
        if name != "resnet18":
            with pytest.raises(UserError, match=f"torchvision's {name};"):
                classifier_state(state, HERE, RESNET18)
