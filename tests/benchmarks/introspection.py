"""Synthesis of pseudo-negatives against a literal loop: torch's convolutions, and gradients of the weights too."""

import copy
from collections.abc import Iterator

import torch
from harness import Row, Section, busy_row, device, interleaved, spread, timed
from torch import Tensor, nn

from robust3d.models.introspective.network import IntrospectiveNetwork
from robust3d.models.introspective.params import NetworkParams, SynthesisParams
from robust3d.models.introspective.synthesis import frozen_weights, synthesise


def literal(model: IntrospectiveNetwork, start: Tensor, params: SynthesisParams) -> Tensor:
    """Synthesis as it is usually written: torch's optimiser, backward through everything, the same stopping rule."""
    x = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], params.learning_rate, betas=(params.beta1, params.beta2))
    for _ in range(params.max_steps):
        optimiser.zero_grad()
        model.zero_grad()
        scores = model.score(x)[0]
        if float(scores.detach().mean()) >= 1e9:
            break
        (-scores.sum()).backward()
        optimiser.step()
        with torch.no_grad():
            x.clamp_(0, 1)
    return x.detach()


def with_torchs_convolutions(model: IntrospectiveNetwork) -> IntrospectiveNetwork:
    """A copy with the same weights."""
    found = copy.deepcopy(model)
    for number, ours in enumerate(found.convolutions):
        plain = nn.Conv3d(ours.in_channels, ours.out_channels, 3, padding=1)
        plain.load_state_dict(ours.state_dict())
        found.convolutions[number] = plain.to(ours.weight.device)
    return found


def measure(toy: bool, repeats: int) -> Section:
    """Both do the same steps from the same noise."""
    resolution, width, batch, steps = (16, 0.125, 4, 2) if toy else (32, 0.25, 8, 20)
    model = IntrospectiveNetwork(NetworkParams(resolution=resolution, width=width), 1).to(device())
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(batch, 1, *(resolution,) * 3, generator=generator).to(device())
    plain = with_torchs_convolutions(model)
    params = SynthesisParams(beta1=0.0, beta2=0.9, max_steps=steps)

    def ours() -> Tensor:
        with frozen_weights(model):
            return synthesise(lambda x: (model.score(x)[0], None), start, params, 1e9).volumes

    samples = interleaved({"ours": ours, "theirs": lambda: literal(plain, start, params)}, 1 if toy else repeats)
    seconds = {name: [sample.seconds for sample in found] for name, found in samples.items()}
    ratio = spread([b / a for a, b in zip(seconds["ours"], seconds["theirs"])])
    name = f"Synthesis, {batch} volumes of {resolution} voxels, {steps} steps"
    totals = spread(seconds["ours"]), spread(seconds["theirs"])
    section = Section("introspection", {"resolution": resolution, "width": width, "batch": batch, "steps": steps})
    section.rows = [Row(name, "s", *totals, ratio=ratio, bar=1.4, peer="a literal loop")]
    if device() == "cuda":
        section.rows += on_gpu(toy)
    return section


def on_gpu(toy: bool) -> Iterator[Row]:
    """Synthesis at the paper's size: 128 volumes of 32 voxels, 2,000 steps in a minute on a GPU of the H200's class.

    Before it, on a GPU, the share of time in which that computes, and how well twenty steps in float64 agree with a
    CPU's.
    """
    resolution, width, batch, steps = (16, 0.125, 4, 4) if toy else (32, 1.0, 128, 2000)
    model = IntrospectiveNetwork(NetworkParams(resolution=resolution, width=width), 1).to(device())
    start = torch.randn(batch, 1, *(resolution,) * 3, generator=torch.Generator().manual_seed(0))

    def run(count: int, network: IntrospectiveNetwork = model, volumes: Tensor = start) -> Tensor:
        params = SynthesisParams(beta1=0.0, beta2=0.9, max_steps=count)
        with frozen_weights(network):
            return synthesise(lambda x: (network.score(x)[0], None), volumes, params, 1e9).volumes

    double = copy.deepcopy(model).double()
    here = run(min(steps, 20), double, start[:2].double().to(device())).cpu()
    there = run(min(steps, 20), double.cpu(), start[:2].double())
    apart = float((here - there).norm() / there.norm())
    yield Row("synthesis in fp64, agreement with the CPU", "", spread([1 - apart]), bar=1 - 1e-6)
    start = start.to(device())
    if device() == "cuda":
        short = min(timed(lambda: run(20, volumes=start)).seconds for _ in range(2))
        what = "synthesis, share of the time in which the GPU computes"
        yield busy_row(what, lambda: run(20, volumes=start), 1, short)
    sample = timed(lambda: run(steps, volumes=start))
    rate = spread([batch * steps / sample.seconds])
    note = f"{batch} volumes of {resolution} voxels, {steps:,} steps: {sample.seconds:.3g} s"
    yield Row("synthesis, fp32", "volume-steps/s", rate, bar=None if toy else 128 * 2000 / 60, note=note)
