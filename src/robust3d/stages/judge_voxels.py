"""Judges generated volumes by the reference network, beside noise, mean shapes and held-out shapes."""

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
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
from robust3d.generation import controls, distances, samples, scores
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
        iterations: (N,) after which they were made; all the same: they have none.
        facts: of their generators.
        joint: whether they are of all classes.
        sampled: whether they are samples, which distances compare; a mean shape is none.
        nearest_of: (N,) the class among whose training volumes the nearest is searched; -1: all.
    """

    labels: I64
    features: F64
    chances: F64
    iterations: I64
    facts: list[dict[str, Any]] = field(default_factory=list)
    joint: bool = False
    sampled: bool = True
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
    sets = _controls(network, data["train"], held_out, params, job.params["seed"])
    for name in job.params["sets"]:
        sets[name] = _generated(network, [read_generated(path) for path in job.inputs[f"generated:{name}"]], data)
    judge = Judge(params, data["train"].classes, places, job.params["categories"], job.params["seed"], train, sets)
    found, frames = {}, []
    for name, described in sets.items():
        found[name] = judge.metrics(name)
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
    return Described(labels, *describe(network, batches), **{"iterations": np.zeros_like(labels)} | facts)


def _generated(network: Reference3D, files: list[Generated], data: dict[str, VoxelData]) -> Described:
    """The volumes of one set: of one joint generator, or of one a category."""
    train = data["train"]
    for file in files:
        if file.classes != train.classes or file.resolution != train.resolution:
            made, real = (f"{len(one.classes)} classes, {one.resolution} voxels along a side" for one in (file, train))
            raise UserError(f"generated volumes of {made}, but those to compare with are of {real}")
    labels = np.concatenate([file.labels for file in files])
    categories = [file.facts["category"] for file in files]
    places = [JOINT if name is None else train.classes.index(name) for name in categories]
    return _described(
        network,
        np.concatenate([file.volumes() for file in files]),
        labels,
        iterations=np.concatenate([file.iterations for file in files]),
        facts=[file.facts for file in files],
        joint=bool((labels == JOINT).all()),
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
        found[name] = _described(network, np.concatenate(volumes), labels, joint=True, sampled=name != "mean")
    return found | {"held-out": held_out}


@dataclass(frozen=True)
class Judge:
    """What sets are compared with, and by how many samples: the same number of every set, for all depends on it.

    Attributes:
        params: numbers of samples.
        classes: names by label.
        places: of the classes among the reference network's.
        categories: those that generators of one category are made for.
        seed: of drawn subsets.
        train: real volumes.
        sets: that are compared, by name; among them real volumes that were held out.
    """

    params: JudgeParams
    classes: tuple[str, ...]
    places: I64
    categories: list[str]
    seed: int
    train: Described
    sets: dict[str, Described]

    @cached_property
    def labels(self) -> list[int]:
        """Of the categories."""
        return [self.classes.index(name) for name in self.categories]

    @cached_property
    def of_scores(self) -> dict[str, samples.Common]:
        """How many samples Inception scores take of each set: of all classes, and of the categories of each one."""
        least = 2 * self.params.splits
        joint = {name: len(one.labels) for name, one in self._sampled.items() if one.joint}
        each = {
            name: min(int((one.labels == label).sum()) for label in self.labels)
            for name, one in self._sampled.items()
            if np.isin(one.labels, self.labels).any()
        }
        of_one = -(-least // len(self.labels))
        return {
            ALL: samples.common(joint, least, max(joint.values())),
            CATEGORIES: samples.common(each, of_one, max(each.values(), default=of_one)),
        }

    @cached_property
    def of_distances(self) -> dict[str, samples.Common]:
        """How many samples distances take of each set, by category, and of all classes."""
        found = {}
        for name, label in [(ALL, None), *zip(self.categories, self.labels, strict=True)]:
            real = min(len(_of(one, label).labels) for one in (self.train, self.sets["held-out"]))
            most = self.params.distance_samples * (1 if label is not None else len(self.classes))
            there = {
                key: len(_of(one, label).labels)
                for key, one in self._sampled.items()
                if (one.joint if label is None else (one.labels == label).any())
            }
            found[name] = samples.common(there, 2, min(real, most))
        return found

    @property
    def _sampled(self) -> dict[str, Described]:
        return {name: one for name, one in self.sets.items() if one.sampled}

    def metrics(self, name: str) -> dict[str, Any]:
        """All scores of a set; in place of each that it has too few samples for `void`, which says so."""
        made = self.sets[name]
        groups = {category: self._group(name, category) for category in self.categories}
        return {
            "facts": made.facts,
            "samples": len(made.labels),
            "inception": {scope: self._inception(name, scope) for scope in (ALL, CATEGORIES)},
            "histogram": scores.class_histogram(made.chances).tolist(),
            "groups": {category: found for category, found in groups.items() if found}
            | ({ALL: self._distances(name, ALL, None)} if made.joint and made.sampled else {}),
        }

    def _inception(self, name: str, scope: str) -> dict[str, Any] | None:
        """Score of all classes, dealt into parts at random, or of the categories, of which all parts have equal shares.

        So what knows no classes and what was made class by class are dealt alike.
        """
        made, number, count = self.sets[name], self.of_scores[scope], self.of_scores[scope].count
        if scope == ALL:
            rows, groups = np.flatnonzero(np.full(len(made.labels), made.joint)), made.iterations
        else:
            rows, groups = np.flatnonzero(np.isin(made.labels, self.labels)), made.labels
            count *= len(self.labels)
        if not made.sampled or not len(rows):
            return None
        if name in number.short:
            return {"void": number.short[name]}
        rows = rows[samples.drawn(groups[rows], count, numpy_generator(self.seed, "inception", scope))]
        chances = made.chances[rows]
        if scope == CATEGORIES and len(self.labels) < len(self.classes):
            # A volume of another class than those that were asked for earns nothing.
            chances = scores.among(chances, self.places[self.labels])
        found = scores.inception_score(chances, self.params.splits, groups[rows])
        return asdict(found) | {"classes": chances.shape[1]}

    def _group(self, name: str, category: str) -> dict[str, Any] | None:
        label = self.classes.index(category)
        ours = _of(self.sets[name], label)
        if not len(ours.labels):
            return None
        probability = {"class_probability": scores.class_probability(ours.chances, self.places[label])}
        return probability | (self._distances(name, category, label) if ours.sampled else {"samples": len(ours.labels)})

    def _distances(self, name: str, group: str, label: int | None) -> dict[str, Any]:
        """Distances in the space of features, from equally many samples of every set."""
        made, train, held_out = (_of(one, label) for one in (self.sets[name], self.train, self.sets["held-out"]))
        number = self.of_distances[group]
        facts: dict[str, Any] = {"samples": len(made.labels), "distance_samples": number.count}
        if name in number.short:
            return facts | {"void": number.short[name]}
        # Sets lie class by class, so what is taken of them is drawn.
        ours, real, unseen = (
            _drawn(one, number.count, self.seed, which)
            for one, which in ((made, "made"), (train, "real"), (held_out, "unseen"))
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


def _of(described: Described, label: int | None) -> Described:
    """The volumes of a class; None: all of them."""
    if label is None:
        return described
    rows = described.labels == label
    arrays = {name: getattr(described, name)[rows] for name in ("labels", "features", "chances", "iterations")}
    return replace(described, **arrays, nearest_of=None)


def _drawn(described: Described, count: int, seed: int, name: str) -> F64:
    """Features of `count` volumes, drawn without replacement, equally many of each iteration."""
    return described.features[np.sort(samples.drawn(described.iterations, count, numpy_generator(seed, "drawn", name)))]
