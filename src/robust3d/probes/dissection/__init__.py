"""What a network's units detect: network dissection (Bau et al. 2017, as in Shape bias section 3.3.2).

A first pass finds the value that each unit exceeds at 0.5 % of all positions of all images. In a second pass a unit is
"on" where its map, scaled to the size of the masks, is above that value; its intersection over union with each concept
is taken over the whole set. The unit's label is the concept with the largest one.
"""

from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from robust3d.params import Params as Base

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from robust3d.data.concepts import Concepts
    from robust3d.data.images import ImageData
    from robust3d.probes import Findings, Subject

ANY_CLASSES = True


class Params(Base):
    """Which units, and when one is on."""

    layers: tuple[str, ...] = ()  # names of the architecture's layers; none: all that give maps
    share: float = Field(0.005, gt=0, lt=1)  # of the positions at which a unit is on
    bins: int = Field(8192, ge=64, le=1 << 20)  # of a unit's histogram, a power of two; sets the error of thresholds
    top: int = Field(9, ge=1)  # images that each unit is most active on, which are kept
    batch_size: int = Field(50, ge=1)  # images per forward pass; changes speed and memory only

    @field_validator("bins")
    @classmethod
    def _power_of_two(cls, bins: int) -> int:
        if bins & (bins - 1):
            raise ValueError(f"{bins} is not a power of two")
        return bins


def probe(params: Params, subject: "Subject") -> "Findings":
    """Concepts of all units.

    Returns:
        In the metrics for each layer lists with an entry for each unit: `category`, `label` and `score` (its IoU) of
        its best concept, `diversity` (concepts with an IoU of 0.01 or more), `threshold` and `threshold_error` (the
        exact one is at most so much smaller); and the layer's counts of detectors. `detectors` are those of all
        layers; `absent` says which categories the images are not labelled with. In the outcomes the `top` images of
        each unit, by the largest activation.

    Raises:
        UserError: the set has no masks, or they do not fit; a layer that the architecture does not have.
    """
    import pandas as pd
    import torch

    from robust3d.attacks.agreement import ieee_fp32
    from robust3d.data.concepts import concepts_of
    from robust3d.models.halves import channels_of
    from robust3d.probes import Findings
    from robust3d.probes.dissection.units import best_concepts, detectors, diversity

    images, model = subject.images("set"), subject.model
    concepts = concepts_of(images)
    concepts.read([0])  # masks that do not fit end the probe here, not after the first pass
    example = model.normalise(images.batch([0]).to(subject.device).float() / 255)
    layers = channels_of(model.architecture, model.network, example, params.layers)
    with torch.inference_mode(), ieee_fp32():
        thresholds, errors, top = _thresholds(params, subject, images, layers)
        overlaps = _overlaps(params, subject, images, layers, concepts, thresholds)
    found, tables = {}, []
    for layer in layers:
        table = best_concepts(overlaps[layer], concepts.names, concepts.categories)
        tables.append(table)
        found[layer] = {
            **{column: table[column].tolist() for column in ("category", "label", "score")},
            "diversity": diversity(overlaps[layer]).tolist(),
            "threshold": thresholds[layer].tolist(),
            "threshold_error": errors[layer].tolist(),
            "detectors": detectors(table)._asdict(),
        }
    metrics = {
        "images": len(images),
        "concepts": len(concepts.names),
        "absent": concepts.absent,
        "detectors": detectors(pd.concat(tables))._asdict(),
        "layers": found,
    }
    return Findings(metrics, pd.concat([_rows(layer, *top[layer]) for layer in layers], ignore_index=True))


def _outputs(
    params: Params, subject: "Subject", images: "ImageData", layers: dict[str, int]
) -> "Iterator[tuple[list[int], dict[str, torch.Tensor]]]":
    """Numbers of images, and the maps of the layers on them, batch by batch."""
    import torch

    model = subject.model
    for part in torch.arange(len(images)).split(params.batch_size):
        pixels = model.normalise(images.batch(part).to(subject.device).float() / 255)
        yield part.tolist(), model.architecture.outputs(model.network, pixels, list(layers))


def _thresholds(params: Params, subject: "Subject", images: "ImageData", layers: dict[str, int]) -> Any:
    """The first pass: of each layer thresholds, their errors, and the largest activations with their images."""
    import torch

    from robust3d.probes.dissection.quantiles import Quantiles

    streams = {layer: Quantiles(channels, params.bins, subject.device) for layer, channels in layers.items()}
    top: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for part, outputs in _outputs(params, subject, images, layers):
        for layer, maps in outputs.items():
            streams[layer].add(maps)
            peaks = maps.flatten(2).amax(2).T  # (C, B)
            places = torch.tensor(part, device=peaks.device).expand_as(peaks)
            if layer in top:
                peaks, places = torch.cat([top[layer][0], peaks], 1), torch.cat([top[layer][1], places], 1)
            order = peaks.argsort(dim=1, descending=True, stable=True)[:, : params.top]  # of equal ones the first image
            top[layer] = peaks.gather(1, order), places.gather(1, order)
    pairs = {layer: stream.above(params.share) for layer, stream in streams.items()}
    return {layer: a for layer, (a, _) in pairs.items()}, {layer: b for layer, (_, b) in pairs.items()}, top


def _overlaps(
    params: Params,
    subject: "Subject",
    images: "ImageData",
    layers: dict[str, int],
    concepts: "Concepts",
    thresholds: dict[str, "torch.Tensor"],
) -> Any:
    """The second pass: intersection over union (units, concepts) of each layer."""
    from robust3d.probes.dissection.overlaps import Overlaps, active, flat

    counts = {layer: Overlaps(channels, concepts, subject.device) for layer, channels in layers.items()}
    for part, outputs in _outputs(params, subject, images, layers):
        for i, labelled in enumerate(concepts.read(part)):
            labels = flat(labelled, subject.device)
            for layer, maps in outputs.items():
                on = active(maps[i], thresholds[layer], labelled.height, labelled.width)
                counts[layer].add(on, labels)
    return {layer: count.iou().cpu().numpy() for layer, count in counts.items()}


def _rows(layer: str, peaks: "torch.Tensor", places: "torch.Tensor") -> Any:
    """The outcomes of a layer: which images its units are most active on."""
    import numpy as np
    import pandas as pd

    units, top = peaks.shape
    columns = {"unit": np.repeat(np.arange(units), top), "rank": np.tile(np.arange(top), units)}
    values = {"image": places.cpu().numpy().ravel(), "activation": peaks.cpu().numpy().ravel()}
    return pd.DataFrame({"images": "set", "layer": layer, **columns, **values})
