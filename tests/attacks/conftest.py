"""Small classifiers trained in seconds, a linear one whose robustness is known in closed form, and finished ones."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robust3d.architectures import architecture
from robust3d.attacks.params import PgdParams
from robust3d.attacks.pgd import pgd
from robust3d.data.images import open_set
from robust3d.models.classifier import load_classifier

torch.set_num_threads(1)


@dataclass
class Toy:
    model: nn.Module
    images: Tensor
    labels: Tensor  # predictions of the model, so that every image counts


def _net(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, 2, 1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


def _samples(n: int, classes: int, generator: torch.Generator, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    prototypes = torch.rand(classes, 3, 4, 4, generator=torch.Generator().manual_seed(99))
    prototypes = F.interpolate(prototypes, size, mode="bilinear")
    labels = torch.randint(classes, (n,), generator=generator)
    noise = torch.randn(n, 3, *size, generator=generator)
    return (0.25 + 0.5 * prototypes[labels] + 0.2 * noise).clamp(0, 1), labels


def _trained(classes: int, n: int, size: tuple[int, int], steps: int) -> Toy:
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _net(classes)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    params = PgdParams(epsilon=0.05, step_size=0.02, steps=3)
    for _ in range(steps):
        images, labels = _samples(64, classes, generator, size)
        adversarial, _ = pgd(model.eval(), images, labels, params)
        loss = F.cross_entropy(model.train()(adversarial), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval().zero_grad()
    images, _ = _samples(n, classes, generator, size)
    return Toy(model, images, model(images).argmax(1))


@pytest.fixture(scope="session")
def toy() -> Toy:
    """Adversarially trained on ten classes at 16 px; 128 images."""
    return _trained(10, 128, (16, 16), 150)


@pytest.fixture(scope="session")
def toy32() -> Toy:
    """The same at 32 px; 60 images."""
    return _trained(10, 60, (32, 32), 150)


@pytest.fixture(scope="session")
def untrained():
    """Makes random networks of any number of classes on images of any size."""

    def make(classes: int, n: int = 8, size: tuple[int, int] = (16, 16)) -> Toy:
        with torch.random.fork_rng():
            torch.manual_seed(classes)
            model = _net(classes).eval()
        images, _ = _samples(n, classes, torch.Generator().manual_seed(1), size)
        return Toy(model, images, model(images).argmax(1))

    return make


@pytest.fixture(scope="session")
def linear() -> Toy:
    """A linear classifier of five classes on 3x6x6 images in the middle of the box."""
    generator = torch.Generator().manual_seed(5)
    layer = nn.Linear(108, 5)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(5, 108, generator=generator))
        layer.bias.zero_()
    model = nn.Sequential(nn.Flatten(), layer).eval()
    images = 0.5 + 0.1 * (torch.rand(24, 3, 6, 6, generator=generator) - 0.5)
    return Toy(model, images, model(images).argmax(1))


@pytest.fixture(scope="session")
def linear_optimum(linear: Toy):
    """Distance of the linear classifier's images to their nearest boundary, per norm: closed form."""
    weight = linear.model[1].weight.detach().double()
    logits = linear.model.double()(linear.images.double()).detach()
    linear.model.float()
    gaps = logits.gather(1, linear.labels[:, None]) - logits
    normals = weight[linear.labels][:, None] - weight
    distances = {}
    for norm, dual in (("Linf", normals.abs().sum(2)), ("L2", normals.norm(dim=2))):
        ratio = gaps / dual
        ratio.scatter_(1, linear.labels[:, None], torch.inf)
        distances[norm] = ratio.amin(1)
    return distances


@dataclass
class Attacked:
    """A classifier that the workflow has trained and attacked, with the test images that it classifies rightly."""

    job: str
    model: nn.Module
    images: Tensor
    labels: Tensor
    norm: str
    epsilons: tuple[float, ...]


@pytest.fixture(scope="session")
def attacked() -> list[Attacked]:
    """Classifiers of a finished study: those under the folder ROBUST3D_RESULTS, or in this checkout's results."""
    results = Path(os.environ.get("ROBUST3D_RESULTS", Path(__file__).parents[2] / "results")).resolve()
    records = [json.loads(path.read_text()) for path in sorted(results.glob("probe/*/record.json"))]
    attacks = [record for record in records if record["spec"]["params"]["probe"] == "autoattack"]
    if not attacks:
        pytest.skip(f"no attacked classifier under {results}; ROBUST3D_RESULTS names the results of a finished study")
    return [_attacked(record, results.parent) for record in attacks]


def _attacked(record: dict, project: Path) -> Attacked:
    told = record["spec"]["params"]
    files = {name: project / found[0]["path"] for name, found in record["inputs"].items()}
    info = json.loads(files["classifier_info"].read_text())
    here = Path.cwd()
    os.chdir(project)  # manifests name their files from there
    try:
        data = open_set(told["sets"]["set"], {name: [path] for name, path in files.items()}, "test", "set")
    finally:
        os.chdir(here)
    model = load_classifier(
        files["classifier"], architecture(info["architecture"]), len(info["classes"]), info["normalisation"]
    )
    pixels, labels = data.all().float() / 255, data.labels
    with torch.no_grad():
        right = model(pixels).argmax(1) == labels
    attack = told["params"]
    return Attacked(record["job"], model, pixels[right], labels[right], attack["norm"], tuple(attack["epsilons"]))
