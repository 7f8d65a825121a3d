"""The ResNet-18 image encoder that every pre-training shares: normalisation, then torchvision's trunk."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from robust3d.errors import UserError
from robust3d.models.files import load_state
from robust3d.seeds import seed_of

Init = Literal["random", "imagenet"]
Normalisation = Literal["imagenet", "half"]

# (mean, std) per channel of images in [0, 1]; "imagenet": Geon3D section 4, "half": pixelNeRF's scaling.
STATISTICS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


@contextmanager
def seeded_initialisation(*parts: str | int) -> Iterator[None]:
    """Modules built inside get weights that depend on ``seed_of(*parts)`` only; the global state is put back.

    torch's layers initialise themselves from the global CPU generator and take no other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(*parts))
        yield


class Normalise(nn.Module):
    """Channel-wise (x - mean) / std of images in [0, 1]; its constants stay out of the state dict."""

    mean: Tensor
    std: Tensor

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        mean, std = STATISTICS[normalisation]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to the same shape, normalised."""
        return (images - self.mean) / self.std


class ResNet18Encoder(nn.Module):
    """Images in [0, 1] to a pooled 512-vector or to the maps of all levels.

    `trunk` is torchvision's ResNet-18 with `fc` removed, so its state dict has torchvision's keys.

    Args:
        init: "random" (torchvision's own scheme, drawn from `seed`) or "imagenet" (read from `weights`).
        weights: torchvision ResNet-18 state dict, ``.pth`` or ``.safetensors``; needed for "imagenet".
        normalisation: "imagenet" mean and std, or "half" = (x - 0.5) / 0.5 as in pixelNeRF.
        seed: of the random weights.

    Raises:
        UserError: "imagenet" without a readable weights file.
    """

    feature_dim = 512

    def __init__(
        self,
        init: Init = "random",
        weights: Path | None = None,
        normalisation: Normalisation = "imagenet",
        seed: int = 0,
    ) -> None:
        from torchvision.models import resnet18  # slow to import, so only where a network is built

        super().__init__()
        self.init, self.normalisation = init, normalisation
        self.normalise = Normalise(normalisation)
        with seeded_initialisation(seed, "resnet18"):
            self.trunk = resnet18()
        self.trunk.fc = nn.Identity()
        if init == "imagenet":
            load_trunk(self.trunk, read_trunk(weights), str(weights))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 512), average-pooled."""
        return self.trunk(self.normalise(images))

    def feature_maps(self, images: Tensor, levels: int = 5, use_first_pool: bool = True) -> list[Tensor]:
        """Maps after conv1 + bn1 + relu (before the max-pool) and after layer1 … layer4.

        Args:
            images: (B, 3, H, W) in [0, 1].
            levels: how many maps; the layers above are not run, so they get neither gradient nor batch
                statistics (pixelNeRF runs 4).
            use_first_pool: False drops the max-pool before layer1, as pixelNeRF does at 64 px.

        Returns:
            `levels` maps (B, C, h, w) with C = 64, 64, 128, 256, 512.
        """
        trunk = self.trunk
        maps = [trunk.relu(trunk.bn1(trunk.conv1(self.normalise(images))))]
        x = trunk.maxpool(maps[0]) if use_first_pool else maps[0]
        for layer in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4)[: levels - 1]:
            x = layer(x)
            maps.append(x)
        return maps


def read_trunk(weights: Path | None) -> dict[str, Tensor]:
    """The tensors of a torchvision ResNet-18 file, without `fc`; never unpickles code.

    Raises:
        UserError: no such file, or not a state dict.
    """
    if weights is None or not weights.is_file():
        raise UserError(
            f"ImageNet weights for ResNet-18 were asked for, but {weights or 'no path'} is not a file. Get "
            "torchvision's ResNet18_Weights.IMAGENET1K_V1 (BSD-3), "
            "https://download.pytorch.org/models/resnet18-f37072fd.pth, on a machine with network and name "
            "its path in the configuration, or choose the random initialisation."
        )
    return {key: value for key, value in load_state(weights).items() if not key.startswith("fc.")}


def load_trunk(trunk: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load every trunk tensor of a ResNet-18 (anything but `fc`), no more and no less.

    Raises:
        UserError: missing, unknown or misshapen tensors, naming `source`.
    """
    fc = {key: value for key, value in trunk.state_dict().items() if key.startswith("fc.")}
    try:
        trunk.load_state_dict({**state, **fc}, strict=True)
    except RuntimeError as error:
        raise UserError(f"{source} does not hold the trunk of torchvision's ResNet-18: {error}") from error
