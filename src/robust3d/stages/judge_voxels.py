"""Judges generated volumes by the reference network, beside noise, mean shapes and held-out shapes."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from robust3d.data.generated import JOINT, Generated, read_generated
from robust3d.data.sets import save_set
from robust3d.data.volumes import U8, VoxelData
from robust3d.data.voxel_sets import open_voxels
from robust3d.errors import UserError
from robust3d.generation import controls, distances, scores
from robust3d.generation.params import ALL, CATEGORIES, JudgeParams
from robust3d.models.files import load_state
from robust3d.models.reference3d import Reference3D, describe
from robust3d.parsing import parse
from robust3d.seeds import numpy_generator

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

BATCH = 256
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Described:
    """Volumes as the reference network sees them.

    Attributes:
        labels: (N,) for which they were made; -1: for none.
        features: (N, D).
        chances: (N, K).
        parts: (N,) by which every part of an Inception score gets an equal share.
        facts: of their generators.
        joint: whether they are of all classes.
        nearest_of: (N,) the class among whose training volumes the nearest is searched; -1: all.
    """

    labels: I64
    features: F64
    chances: F64
    parts: I64
    facts: list[dict[str, Any]] = field(default_factory=list)
    joint: bool = False
    nearest_of: I64 | None = None


def run(job: "Context") -> None:
    """Write `metrics` of each set and `outcomes`, a row a volume."""
    params = parse(JudgeParams, job.params["judge"])
    network, info = load_reference(job.input("reference"), job.input("info"))
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    data = {split: open_voxels(job.input("voxels"), split) for split in ("train", "test")}
    train = _described(network, data["train"].volumes()[:, 0].numpy(), data["train"].labels.numpy())
    held_out = _described(network, data["test"].volumes()[:, 0].numpy(), data["test"].labels.numpy(), joint=True)
    places = reference_labels(data["train"].classes, info["classes"])
    judge = Judge(params, data["train"].classes, places, job.params["categories"], job.params["seed"], train, held_out)
    found, frames = {}, []
    sets = _controls(network, data["train"], held_out, params, job.params["seed"])
    for name in job.params["sets"]:
        sets[name] = _generated(network, [read_generated(path) for path in job.inputs[f"generated:{name}"]], data)
    for name, described in sets.items():
        found[name] = judge.metrics(described)
        frames.append(judge.outcomes(described).assign(set=name))
        print(f"{name}: {len(described.labels)} volumes", flush=True)
    save_set(pd.concat(frames, ignore_index=True), job.outputs["outcomes"])
    notices = list(dict.fromkeys([*data["train"].notices, *data["test"].notices]))
    facts = {name: info[name] for name in ("classes", "width", "feature_dim", "test_accuracy", "test_volumes")}
    classes = list(data["train"].classes)
    job.write_json("metrics", {"sets": found, "classes": classes, "reference": facts, "notices": notices})


def reference_labels(classes: tuple[str, ...], known: list[str]) -> I64:
    """The place of each class among those that the reference network knows, which may be more.

    Raises:
        UserError: it does not know one.
    """
    if missing := [name for name in classes if name not in known]:
        raise UserError(f"the reference network was not trained on {missing[0]!r}, only on {', '.join(known)}")
    return np.array([known.index(name) for name in classes])


def load_reference(weights: Path, info: Path) -> tuple[Reference3D, dict[str, Any]]:
    """The trained reference network in eval mode, and its facts."""
    facts = json.loads(info.read_text(encoding="utf-8"))
    network = Reference3D(len(facts["classes"]), facts["width"])
    network.load_state_dict(load_state(weights))
    return network.eval().requires_grad_(False), facts


def _described(network: Reference3D, volumes: U8, labels: I64, **facts: Any) -> Described:
    batches = (torch.from_numpy(volumes[i : i + BATCH])[:, None] for i in range(0, len(volumes), BATCH))
    return Described(labels, *describe(network, batches), **{"parts": labels} | facts)


def _generated(network: Reference3D, files: list[Generated], data: dict[str, VoxelData]) -> Described:
    """The volumes of one set: of one joint generator, or of one a category."""
    train = data["train"]
    for file in files:
        if file.classes != train.classes or file.resolution != train.resolution:
            made, real = (f"{len(one.classes)} classes, {one.resolution} voxels along a side" for one in (file, train))
            raise UserError(f"generated volumes of {made}, but those to compare with are of {real}")
    labels = np.concatenate([file.labels for file in files])
    iterations = np.concatenate([file.iterations for file in files])
    categories = [file.facts["category"] for file in files]
    places = [JOINT if name is None else train.classes.index(name) for name in categories]
    joint = bool((labels == JOINT).all())
    return _described(
        network,
        np.concatenate([file.volumes() for file in files]),
        labels,
        parts=iterations if joint else labels,
        facts=[file.facts for file in files],
        joint=joint,
        nearest_of=np.repeat(places, [len(file) for file in files]),
    )


def _controls(
    network: Reference3D, train: VoxelData, held_out: Described, params: JudgeParams, seed: int
) -> dict[str, Described]:
    """Volumes of each class to compare with, by name."""
    count, found = params.control_samples, {}
    of_class = [(name, train.of_class(name).volumes()[:, 0].numpy()) for name in train.classes]
    side, threshold = train.resolution, params.noise_threshold
    made = {
        "noise": [controls.noise(count, side, threshold, seed, name) for name, _ in of_class],
        "independent": [controls.independent(volumes, count, seed, name) for name, volumes in of_class],
        "mean": [controls.mean_shape(volumes) for _, volumes in of_class],
    }
    for name, volumes in made.items():
        labels = np.repeat(np.arange(len(volumes)), [len(one) for one in volumes])
        found[name] = _described(network, np.concatenate(volumes), labels, joint=True)
    return found | {"held-out": held_out}


@dataclass(frozen=True)
class Judge:
    """What sets are compared with.

    Attributes:
        params: numbers of samples.
        classes: names by label.
        places: of the classes among the reference network's.
        categories: those that generators of one category are made for.
        seed: of drawn subsets.
        train, held_out: real volumes.
    """

    params: JudgeParams
    classes: tuple[str, ...]
    places: I64
    categories: list[str]
    seed: int
    train: Described
    held_out: Described

    def metrics(self, made: Described) -> dict[str, Any]:
        """All scores of a set; None where it has too few samples."""
        groups = {name: self._group(made, self.classes.index(name)) for name in self.categories}
        known = np.isin(made.labels, [self.classes.index(name) for name in self.categories])
        return {
            "facts": made.facts,
            "samples": len(made.labels),
            "inception": {
                ALL: self._inception(made, np.full(len(known), made.joint)),
                CATEGORIES: self._inception(made, known),
            },
            "histogram": scores.class_histogram(made.chances).tolist(),
            "groups": {name: found for name, found in groups.items() if found}
            | ({ALL: self._distances(made, self.train, self.held_out, len(self.classes))} if made.joint else {}),
        }

    def _inception(self, made: Described, rows: NDArray[np.bool_]) -> dict[str, Any] | None:
        if rows.sum() < 2 * self.params.splits:
            return None
        return asdict(scores.inception_score(made.chances[rows], self.params.splits, made.parts[rows]))

    def _group(self, made: Described, label: int) -> dict[str, Any] | None:
        rows = made.labels == label
        if not rows.any():
            return None
        ours, train, unseen = (_chosen(one, one.labels == label) for one in (made, self.train, self.held_out))
        probability = scores.class_probability(ours.chances, self.places[label])
        return {"class_probability": probability} | self._distances(ours, train, unseen, classes=1)

    def _distances(self, made: Described, train: Described, held_out: Described, classes: int) -> dict[str, Any]:
        """Distances in the space of features, from equally many samples of every set."""
        count = min(self.params.distance_samples * classes, len(made.labels), len(train.labels), len(held_out.labels))
        facts: dict[str, Any] = {"samples": len(made.labels), "distance_samples": count}
        if count < 2:
            return facts
        # Sets lie class by class, so what is taken of them is drawn.
        ours, real, unseen = (
            _drawn(one, count, self.seed, name) for one, name in ((made, "made"), (train, "real"), (held_out, "unseen"))
        )
        draw = numpy_generator(self.seed, "kernel distance")
        return facts | {
            "fid": asdict(distances.frechet_distance(real, ours)),
            "kid": asdict(distances.kernel_distance(real, ours, draw)),
            "coverage": distances.coverage(real, ours),
            "one_nearest": asdict(distances.one_nearest_accuracy(real, ours)),
            "memorisation": asdict(distances.memorisation(train.features, unseen, ours)),
        }

    def outcomes(self, made: Described) -> pd.DataFrame:
        """A row a volume: its class, its most probable class, its class's probability, the nearest training volume."""
        rows = np.arange(len(made.labels))
        probability = np.where(made.labels >= 0, made.chances[rows, self.places[made.labels]], np.nan)  # -1: any
        of_class = made.nearest_of if made.nearest_of is not None else np.full(len(rows), JOINT)
        nearest, distance = np.zeros(len(rows), np.int64), np.zeros(len(rows))
        for label in np.unique(of_class):
            chosen = of_class == label
            places = np.flatnonzero((self.train.labels == label) | (label == JOINT))
            found, distance[chosen] = distances.nearest(made.features[chosen], self.train.features[places])
            nearest[chosen] = places[found]
        return pd.DataFrame(
            {
                "row": rows,
                "label": made.labels,
                "answer": made.chances.argmax(1),
                "probability": probability,
                "nearest": nearest,
                "distance": distance,
            }
        )


def _chosen(described: Described, rows: NDArray[np.bool_]) -> Described:
    return Described(described.labels[rows], described.features[rows], described.chances[rows], described.parts[rows])


def _drawn(described: Described, count: int, seed: int, name: str) -> F64:
    """Features of `count` volumes, drawn without replacement."""
    order = numpy_generator(seed, "drawn", name).permutation(len(described.labels))
    return described.features[np.sort(order[:count])]
