"""Zeroing every channel of a ResNet-18: from cached activations, and by whole forward passes with a hook."""

import torch
from harness import Row, Section, device, interleaved, rate_row, spread, timed

from robust3d.architectures import architecture
from robust3d.models.classifier import Classifier
from robust3d.models.halves import channels_of
from robust3d.probes.ablation.channels import answers_without

BATCH = 100


def measure(toy: bool, repeats: int) -> Section:
    """The ways side by side on some images and a quarter of each layer's channels; then all the short way."""
    count, some, side, share = (4, 2, 32, 32) if toy else (200, 50, 64, 4)
    model = Classifier(architecture("resnet18"), 10).eval().to(device()).to(memory_format=torch.channels_last)
    pixels = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device())
    layers = channels_of(model.architecture, model.network, model.normalise(pixels[:1]))

    def ablate(way: str, share: int, images: torch.Tensor) -> list[torch.Tensor]:
        batches = [lambda part=part: part for part in images.split(BATCH)]
        given = {layer: answers_without(model, layer, channels // share, batches, torch.clone, way)
                 for layer, channels in layers.items()}  # fmt: skip
        return [torch.from_numpy(after) for _, after, _ in given.values()]

    variants = {way: lambda way=way: ablate(way, share, pixels[:some]) for way in ("cached", "direct")}
    samples = interleaved(variants, min(repeats, 3))
    cached, direct = samples["cached"], samples["direct"]
    alike = all(torch.equal(*pair) for pair in zip(cached[0].result, direct[0].result, strict=True))
    channels = sum(number // share for number in layers.values())
    section = Section(
        "ablation",
        {"images": [some, count], "size_px": side, "layers": layers, "batch": BATCH, "share of channels": 1 / share},
        facts={"logits have the same bits": alike},
    )
    what = f"channels of ResNet-18 zeroed one by one, {some} images of {side} px"
    row = rate_row(what, "channels/s", channels, cached, direct, "hook that zeroes, whole forward passes", bar=3)
    whole = timed(lambda: ablate("cached", share if toy else 1, pixels))
    rate = spread([60 * sum(layers.values()) / whole.seconds])
    note = f"{whole.seconds:.0f} s for all {sum(layers.values())}; bar: 3 minutes"
    section.rows = [
        row,
        Row(
            f"… all channels, cached, {count} images", "channels/minute", rate, bar=sum(layers.values()) / 3, note=note
        ),
    ]
    return section
