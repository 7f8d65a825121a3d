"""How well a network's layers predict the responses of sites in a brain (Flatland 3.4).

The images of the set are what was shown. The responses come from a file in Brain-Score's layout, whose names of images
are those of the set's pictures without folder and ending, or are made here with a known truth. A part of the images
chooses each region's layer; all scores are of the other images.
"""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from robust3d.params import Params as Base
from robust3d.params import PathText, distinct

if TYPE_CHECKING:
    import numpy as np

    from robust3d.brain.assembly import Assembly
    from robust3d.data.images import ImageData
    from robust3d.probes import Findings, Subject

ANY_CLASSES = True
PACKAGES = ("scipy", "h5py")


class SyntheticParams(Base):
    """Responses made here: "V4" of edges at places, "IT" of the class."""

    sites: int = Field(24, ge=1)  # of each region and animal
    repetitions: int = Field(10, ge=2)  # of each image
    reliability: float = Field(0.8, gt=0, le=1)  # of the mean over repetitions


class Params(Base):
    """Which responses, and how they are predicted."""

    assembly: PathText | None = None  # a file of Brain-Score (.nc); none: synthetic responses
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")  # of that file: what names the data in the job's spec
    variation: int | None = None  # only images of this level in the file; Flatland 4.3: 3
    synthetic: SyntheticParams = SyntheticParams()
    regions: tuple[str, ...] = ("V4", "IT")
    layers: tuple[str, ...] = ()  # names of the architecture's layers; none: all
    components: int = Field(25, ge=1)
    protocol: Literal["ten_fold", "brainscore"] = "ten_fold"  # Flatland 3.4; brainscore: ten random ninths
    folds: int = Field(10, ge=2)  # of ten_fold; fewer where there are few images
    method: Literal["fast", "nipals"] = "fast"  # nipals: scikit-learn's steps
    dimension: int | None = Field(1000, ge=2)  # random projection of layers with more features; none: as they are
    selection: float = Field(0.25, gt=0, lt=1)  # share of images that choose the layer
    halves: int = Field(10, ge=1)  # random divisions of repetitions for the ceiling
    seed: int = 0
    batch_size: int = Field(50, ge=1)  # images per forward pass; changes speed and memory only

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        if (self.assembly is None) != (self.sha256 is None):
            raise ValueError("assembly and sha256 belong together: the checksum says which recordings a result is of")
        if not self.regions:
            raise ValueError("regions: name at least one")
        distinct(self.regions)
        return self


def probe(params: Params, subject: "Subject") -> "Findings":
    """Scores of all layers in all regions.

    Returns:
        In the metrics for each region its sites, the median `ceiling` (reliability), the `layer` that was chosen on the
        images set aside, its `value` (median over sites of Pearson's r, mean over splits) with `low` and `high`,
        `explained` (median over sites of r^2 / reliability), the same of all layers, and `rsa`: of the layer whose
        dissimilarities were most like the animals' on the images set aside, `value` with `low` and `high` (images), and
        the `lower` and `upper` bound of the best model (None with one animal). In the outcomes a row for
        each site and layer: `score`, `ceiling`, `chosen`; its `image` is 0, since a site belongs to all images.

    Raises:
        UserError: a layer or region that is not there, images that were not shown, too few images for the components,
            responses without repetitions.
    """
    import numpy as np
    import pandas as pd

    from robust3d.brain import ceilings, predictivity
    from robust3d.probes import Findings
    from robust3d.probes.brain.layers import layer_features
    from robust3d.probes.brain.similarity import similarity

    images = subject.images("set")
    assembly = _responses(params, images)
    features = layer_features(params, subject, images)
    choose, report = _parts(params, assembly.groups)
    splits = [_splits(params, assembly.groups, part) for part in (choose, report)]
    regions, frames = {}, []
    for region in params.regions:
        mine, constant = assembly.in_region(region).without_constant_sites()
        responses, most = mine.means(), ceilings.ceiling(mine, params.halves, params.seed)
        settings = (params.components, params.method)
        chosen = predictivity.choose_layer(
            {name: values[choose] for name, values in features.items()}, responses[choose], splits[0], *settings
        )
        layers: dict[str, Any] = {}
        for name, values in features.items():
            scores = predictivity.site_scores(values[report], responses[report], splits[1], *settings)
            site, explained = scores.mean(0), ceilings.explained(scores.mean(0), most)
            scored = predictivity.score(scores, params.seed)._asdict()
            middle = float(np.nanmedian(explained)) if np.isfinite(explained).any() else None
            layers[name] = scored | {"explained": middle, "selection": chosen.selection[name]}
            columns = {"region": region, "layer": name, "site": mine.sites, "animal": mine.animals, "score": site}
            frames.append(pd.DataFrame(columns).assign(ceiling=most, chosen=name == chosen.layer))
        regions[region] = {
            "sites": len(mine.sites),
            "constant_sites": constant,
            "ceiling": float(np.median(most)),
            "layer": chosen.layer,
            **layers[chosen.layer],
            "layers": layers,
            "rsa": similarity(features, mine, (choose, report), params.seed),
        }
    metrics = {
        "regions": regions,
        "responses": assembly.source,
        "images": {"choose": len(choose), "report": len(report)},
        "features": {name: values.shape[1] for name, values in features.items()},
    }
    return Findings(metrics, pd.concat(frames, ignore_index=True).assign(images="set", image=0))


def _responses(params: Params, images: "ImageData") -> "Assembly":
    """Responses to the images, in their order."""
    from pathlib import Path

    from robust3d.brain.synthetic import edges_and_classes, synthetic_assembly
    from robust3d.data.published.neural.brainscore import read_assembly
    from robust3d.errors import UserError
    from robust3d.files import sha256

    if params.assembly is None:
        made, classes = params.synthetic, list(images.rows["class_name"])
        sources = edges_and_classes(images.all().cpu().numpy(), classes, params.seed)
        if unknown := [region for region in params.regions if region not in sources]:
            raise UserError(f"regions: synthetic responses have {', '.join(sources)}, not {unknown[0]!r}")
        settings = (made.sites, made.repetitions, made.reliability, params.seed)
        return synthetic_assembly(sources, images.ids, classes, *settings).of(images.ids)
    path = Path(params.assembly)
    assembly = read_assembly(path, variation=params.variation)
    if (found := sha256(path)) != params.sha256:
        raise UserError(f"{path}: its sha256 is {found}, not that of the key `sha256`; correct one of them")
    return assembly.of([name.rpartition("/")[2] for name in images.ids])


def _parts(params: Params, groups: tuple[str, ...]) -> "tuple[np.ndarray, np.ndarray]":
    """Places of the images that choose the layer, and of those that are reported on; groups in equal shares."""
    from robust3d.brain.splits import shuffled

    (one,) = shuffled(groups, 1, params.selection, params.seed)
    return one.fit, one.test


def _splits(params: Params, groups: tuple[str, ...], part: "np.ndarray") -> Any:
    """The splits inside a part, checked for the number of components."""
    from robust3d.brain.splits import splits_of
    from robust3d.errors import UserError

    splits = splits_of(params.protocol, [groups[place] for place in part.tolist()], params.seed, params.folds)
    if (fewest := min(len(split.fit) for split in splits)) <= params.components:
        raise UserError(
            f"components: {params.components} need more than {fewest} images to fit on in each split; use more images, "
            "fewer components, or another share for `selection`"
        )
    return splits
