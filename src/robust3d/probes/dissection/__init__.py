"""What a network's units detect: network dissection (Bau et al. 2017, as in Shape bias section 3.3.2).

A first pass finds the value that each unit exceeds at 0.5 % of all positions of all images. In a second pass a unit is
"on" where its map, scaled to the size of the masks, is above that value; its intersection over union with each concept
is taken over the whole set. The unit's label is the concept with the largest one.

The share has to leave some whole images, or a unit's label is what these few happen to show, and the findings are void.
Units that are on together in few images agree on a concept by chance, and those that are on at a larger share overlap
more with each, so all is counted again with the labels of other images, as often as a permutation test at 5 % needs.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from robust3d.params import Params as Base

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt
    import torch

    from robust3d.data.concepts import Concepts
    from robust3d.data.images import ImageData
    from robust3d.probes import Findings, Subject
    from robust3d.probes.dissection.overlaps import Overlaps

ANY_CLASSES = True
RELABELLED = 19  # times: one of 20 readings is the largest by chance in 5 %


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
        its best concept (none at 0), `diversity` (concepts with an IoU of 0.01 or more), `images_on` (how many it is on
        in), `threshold` and `threshold_error` (the exact one is at most so much away); and the layer's counts of
        detectors and of `saturated` units. `detectors` are those of all layers. `by_chance` lists detectors and
        diversity with the labels of other images, `void` says why none of this means anything, and `absent` which
        categories the images are not labelled with. In the outcomes the `top` images of each unit, by the largest
        activation.

    Raises:
        UserError: the set has no masks, or they do not fit; a layer that the architecture does not have.
    """
    import pandas as pd
    import torch

    from robust3d.attacks.agreement import ieee_fp32
    from robust3d.data.concepts import concepts_of
    from robust3d.models.halves import channels_of
    from robust3d.probes import Findings
    from robust3d.probes.dissection.units import best_concepts, why_void

    images, model = subject.images("set"), subject.model
    concepts = concepts_of(images)
    concepts.read([0])  # masks that do not fit end the probe here, not after the first pass
    example = model.normalise(images.batch([0]).to(subject.device).float() / 255)
    layers = channels_of(model.architecture, model.network, example, params.layers)
    with torch.inference_mode(), ieee_fp32():
        streams, top = _streams(params, subject, images, layers)
        pairs = {layer: stream.above(params.share) for layer, stream in streams.items()}
        thresholds = {layer: threshold for layer, (threshold, _) in pairs.items()}
        overlaps = _overlaps(params, subject, images, layers, concepts, thresholds)
    ious = {layer: counts.iou().cpu().numpy() for layer, counts in overlaps.items()}
    tables = {layer: best_concepts(iou[0], concepts.names, concepts.categories) for layer, iou in ious.items()}
    found, *by_chance = (
        _detected({layer: iou[reading] for layer, iou in ious.items()}, concepts)
        for reading in range(1 + _relabelled(images))
    )
    for layer, (threshold, error) in pairs.items():
        found["layers"][layer] |= {column: tables[layer][column].tolist() for column in ("category", "label", "score")}
        found["layers"][layer] |= {
            "images_on": overlaps[layer].images.tolist(),
            "threshold": threshold.tolist(),
            "threshold_error": error.tolist(),
            "saturated": int(streams[layer].saturated(params.share).sum()),
        }
    metrics = {
        "images": len(images),
        "whole_images": params.share * len(images),
        "void": why_void(params.share, len(images)),
        "concepts": len(concepts.names),
        "absent": concepts.absent,
        **found,
        "by_chance": by_chance,
    }
    return Findings(metrics, pd.concat([_rows(layer, *top[layer]) for layer in layers], ignore_index=True))


def _detected(ious: "dict[str, npt.NDArray[np.float64]]", concepts: "Concepts") -> dict[str, Any]:
    """Detectors and diversity of each layer with an IoU (units, concepts), and the detectors of all layers."""
    import pandas as pd

    from robust3d.probes.dissection.units import best_concepts, detectors, diversity

    tables = {layer: best_concepts(iou, concepts.names, concepts.categories) for layer, iou in ious.items()}
    layers = {
        layer: {"diversity": diversity(iou).tolist(), "detectors": detectors(tables[layer])._asdict()}
        for layer, iou in ious.items()
    }
    return {"detectors": detectors(pd.concat(tables.values()))._asdict(), "layers": layers}


def _relabelled(images: "ImageData") -> int:
    """How often each image can meet the labels of another one."""
    return min(RELABELLED, len(images) - 1)


def _outputs(
    params: Params, subject: "Subject", images: "ImageData", layers: dict[str, int], order: "torch.Tensor | None" = None
) -> "Iterator[tuple[list[int], dict[str, torch.Tensor]]]":
    """Numbers of images, and the maps of the layers on them, batch by batch, in an order or in that of the set."""
    import torch

    model = subject.model
    for part in (torch.arange(len(images)) if order is None else order).split(params.batch_size):
        pixels = model.normalise(images.batch(part).to(subject.device).float() / 255)
        yield part.tolist(), model.architecture.outputs(model.network, pixels, list(layers))


def _streams(params: Params, subject: "Subject", images: "ImageData", layers: dict[str, int]) -> Any:
    """The first pass: of each layer the histograms, and the largest activations with their images."""
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
    return streams, top


def _overlaps(
    params: Params,
    subject: "Subject",
    images: "ImageData",
    layers: dict[str, int],
    concepts: "Concepts",
    thresholds: dict[str, "torch.Tensor"],
) -> "dict[str, Overlaps]":
    """The second pass: what units and concepts have in common in each layer.

    Images come in a random order, as in a ring. The first reading of an image is its own labels, the second those of
    the image before it, and so on: each is one relabelling of the whole set.
    """
    import torch

    from robust3d.probes.dissection.overlaps import Overlaps, active, read_labels, together
    from robust3d.seeds import numpy_generator

    others = _relabelled(images)
    counts = {layer: Overlaps(channels, concepts, subject.device, 1 + others) for layer, channels in layers.items()}
    order = torch.from_numpy(numpy_generator(0, "dissection", "order").permutation(len(images)))
    before = concepts.read(order[len(images) - others :].flip(0).tolist())
    readings = deque((read_labels(one, concepts.categories, subject.device) for one in before), maxlen=1 + others)
    for part, outputs in _outputs(params, subject, images, layers, order):
        for i, labelled in enumerate(concepts.read(part)):
            readings.appendleft(read_labels(labelled, concepts.categories, subject.device))
            labels = together(readings)
            for layer, maps in outputs.items():
                on = active(maps[i], thresholds[layer], labelled.height, labelled.width)
                counts[layer].add(on, labels)
    return counts


def _rows(layer: str, peaks: "torch.Tensor", places: "torch.Tensor") -> Any:
    """The outcomes of a layer: which images its units are most active on."""
    import numpy as np
    import pandas as pd

    units, top = peaks.shape
    columns = {"unit": np.repeat(np.arange(units), top), "rank": np.tile(np.arange(top), units)}
    values = {"image": places.cpu().numpy().ravel(), "activation": peaks.cpu().numpy().ravel()}
    return pd.DataFrame({"images": "set", "layer": layer, **columns, **values})
