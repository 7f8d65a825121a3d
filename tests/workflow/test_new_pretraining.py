"""One module and one configuration entry add a pre-training to Table 4, with no edit in the rules."""

import os
import shutil

import pandas as pd
import pytest
from project import ROOT, Project

TOY = '''"""A toy: the encoder learns the mean colour of what it sees."""

import torch

from robust3d.params import Params as Base
from robust3d.training.params import LoopParams


class Params(Base):
    """Its length."""

    loop: LoopParams = LoopParams(steps=3, validate_every=3)


def task(params, train, held_out, seed, device):
    """The toy task."""
    from robust3d.models.encoder import ResNet18Encoder
    from robust3d.training.loop import Pretraining

    class Toy(Pretraining):
        images_per_step = 8

        def __init__(self):
            self.encoder = ResNet18Encoder(seed=seed)
            self.module = torch.nn.Sequential(self.encoder, torch.nn.Linear(512, 3)).to(device)

        def error(self, images):
            return (self.module(images) - images.mean((2, 3))).square().mean()

        def loss(self, step, generator):
            chosen = torch.randint(len(train), (8,), generator=generator)
            return self.error(train.inputs[chosen, 0].float() / 255), {}

        def validate(self):
            return {"mse": float(self.error(held_out.inputs[:, 0].float() / 255))}

        def reconstructions(self, n):
            truth = held_out.inputs[:n, 0].permute(0, 2, 3, 1).numpy()
            mean = truth.mean((1, 2), keepdims=True).astype("uint8")
            return truth, mean.repeat(truth.shape[1], 1).repeat(truth.shape[2], 2)

    return Toy()
'''


@pytest.mark.slow
def test_a_toy_finds_its_column(tmp_path):
    source = tmp_path / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "robust3d/pretraining/toy.py").write_text(TOY)
    project = Project(tmp_path / "project", pretrainings=set())
    project.environment |= {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    project.environment = {**os.environ, **project.environment}
    project.change({"pretraining": {"toy": {"label": "Toy", "method": "toy"}}})
    # The rules are the project's own; only the entry and the module are new.
    assert (project.folder / "workflow").resolve() == ROOT / "workflow"
    project.make("results/table4.csv")
    table = pd.read_csv(project.folder / "results/table4.csv", index_col=0)
    assert list(table.columns) == ["AT", "Toy+AT", "standard"]
