"""How smooth a network's kernels and activation maps are, in total variation (Shape bias section 3.3.1).

The total variation of a map is the sum of the absolute differences of neighbours, down and across. A kernel's is that
sum over its input channels; a layer's is the mean over its kernels. Kernels of one pixel have none and are left out.
"""

from typing import TYPE_CHECKING

from pydantic import Field

from robust3d.params import Params as Base

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

ANY_CLASSES = True


class Params(Base):
    """Of which maps, and under which noise."""

    layers: tuple[str, ...] = ()  # names of the architecture's layers; none: all that give maps
    noise: float = Field(0.08, gt=0)  # standard deviation, pixels in [0, 1]; ImageNet-C's Gaussian noise, severity 1
    seed: int = 0  # of the noise
    batch_size: int = Field(50, ge=1)  # images per forward pass; changes speed and memory only


def probe(params: Params, subject: "Subject") -> "Findings":
    """Total variation of all kernels, and of activation maps on clean and on noisy images.

    Returns:
        In the metrics under `kernels` for each convolution its size, how many kernels it has, their mean total
        variation, and the same as a share of the sum of their weights' magnitudes: a batch norm undoes any scale of
        the kernels before it, so that the first number can differ where the networks do not. Both means over layers
        and over kernels are there. Under `maps` for each layer the mean total variation of each channel. In the
        outcomes the mean over the channels of each layer for each image.

    Raises:
        UserError: a layer that the architecture does not have.
    """
    import pandas as pd
    import torch

    from robust3d.attacks.agreement import ieee_fp32
    from robust3d.distortions.draws import Draws
    from robust3d.distortions.noise import gaussian_noise
    from robust3d.models.halves import channels_of
    from robust3d.probes import Findings
    from robust3d.probes.smoothness.variation import kernel_variation, variation
    from robust3d.seeds import seed_of

    model, images = subject.model, subject.images("set")
    seeds = [seed_of(params.seed, "smoothness", name) for name in images.ids]
    places = torch.arange(len(images)).split(params.batch_size)
    found: dict[str, dict[str, list[torch.Tensor]]] = {}
    layers: list[str] = []
    with torch.inference_mode(), ieee_fp32():
        for part in places:
            clean = images.batch(part).to(subject.device).float() / 255
            layers = layers or list(
                channels_of(model.architecture, model.network, model.normalise(clean), params.layers)
            )
            draws = Draws([seeds[place] for place in part.tolist()], clean.device)
            both = {"clean": clean, "noisy": gaussian_noise(clean, params.noise, draws).clamp(0, 1)}
            for kind, pixels in both.items():
                outputs = model.architecture.outputs(model.network, model.normalise(pixels), layers)
                for layer in layers:
                    kinds = found.setdefault(layer, {"clean": [], "noisy": []})
                    kinds[kind].append(variation(outputs[layer]).cpu())
    maps, frames = {}, []
    for layer, kinds in found.items():
        tables = {kind: torch.cat(values).double() for kind, values in kinds.items()}  # (N, C)
        maps[layer] = {kind: table.mean(0).tolist() for kind, table in tables.items()}
        means = {f"{kind}_variation": table.mean(1).numpy() for kind, table in tables.items()}
        frames.append(pd.DataFrame({"images": "set", "image": range(len(images)), "layer": layer, **means}))
    metrics = {"kernels": kernel_variation(model.network), "maps": maps, "images": len(images)}
    return Findings(metrics, pd.concat(frames, ignore_index=True))
