"""Declaration of every stage: outputs, packages, cluster resources, titles.

Rules (`workflow/rules/stages.smk`), planning, the audit and the site all read this. Nothing here is part of a stage's
code closure, so changing a memory request or a title makes no artifact stale. A new stage is an entry here, a
module in `robust3d.stages` and the function that plans it.
"""

import functools
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from robust3d.errors import UserError
from robust3d.study.places import own_file
from robust3d.study.requests import Request

LOCK = "envs/requirements.lock"
_FOLDER = "{results}/{stage}/{job}/"
_ARRAYS = ("numpy",)
_VIEWS = ("numpy", "h5py", "pandas", "pyarrow")
_SOURCES = "sources.sha256"  # checksums of the published files that were read
_SUFFIXES = {  # of published files
    "table.csv": ".csv",
    "cells.json": ".cells.json",
    "picture.svg": ".svg",
    "picture.png": ".png",
    "record.json": ".record.json",
}
_LEARNING = ("numpy", "torch", "torchvision", "lightning-fabric", "h5py", "pandas")


@dataclass(frozen=True)
class Shown:
    """How `snakemake --report` shows what a stage publishes.

    Attributes:
        as_a: names the rule that publishes it, such as `publish_table`.
        output: which of the outputs is shown.
        caption: file in `workflow/report`.
        category: heading.
    """

    as_a: str
    output: str
    caption: str
    category: str


@dataclass(frozen=True)
class Variant:
    """Overrides for the jobs of one module that a stage loads by name, such as AutoAttack among the probes.

    Attributes:
        title: of such a job on the site.
        request: cluster resources of such a job; as many GPUs as the stage.
    """

    title: str
    request: Request


@dataclass(frozen=True)
class Stage:
    """Outputs of a stage, packages that affect them, resources, and how it is shown.

    Attributes:
        outputs: paths by name, data first; the record is added by the runner.
        packages: those whose versions affect the result.
        title: of a job on the site.
        layer: its place in drawings of the lineage, shapes first.
        request: cluster resources of a job; None: a local job, run by Snakemake itself.
        role: how the site and `why` show its outputs, where they show more than the record.
        in_parts: whether there is one job per class or block; they are then shown as one.
        matters: patterns of the parameters that `why` shows, the most important first; "*": any.
        priority: of its jobs in Snakemake's scheduler.
        reusable: whether the outputs of an earlier job with equal parameters and inputs may be copied; False where
            outputs contain paths of inputs.
        published: stable paths of the copies that users ask for, by output; of tables and figures only.
        shown: how a report shows them.
        variants: overrides by module name; the module is the job's parameter that has the stage's name.
    """

    outputs: dict[str, str]
    packages: tuple[str, ...]
    title: str
    layer: int
    request: Request | None = None
    role: Literal["views", "manifest", "pre-training", "classifier", "picture", ""] = ""
    in_parts: bool = False
    matters: str = "*"
    priority: int = 0
    reusable: bool = True
    published: dict[str, str] = field(default_factory=dict)
    shown: Shown | None = None
    variants: dict[str, Variant] = field(default_factory=dict)

    def of(self, name: object) -> "Stage":
        """The stage with the overrides of one of its modules."""
        variant = self.variants.get(str(name))
        return replace(self, title=variant.title, request=variant.request) if variant else self


def _outputs(**files: str) -> dict[str, str]:
    return {name: _FOLDER + file for name, file in (files | {"record": "record.json"}).items()}


def _published(outputs: dict[str, str]) -> dict[str, str]:
    """Files of a table or a figure under its name, `table.csv` as `table4.csv`."""
    return {name: f"{{results}}/{{label}}{_SUFFIXES[Path(path).name]}" for name, path in outputs.items()}


_TABLE = _outputs(table="table.csv", cells="cells.json")
_PLOT = _outputs(picture="picture.svg", table="table.csv", cells="cells.json")
_PICTURE = _outputs(picture="picture.png")

_PROBE = Request(cpus=4, mem_mb=16_000, runtime_min=60, gpus=1)

# Requests are those of the paper's scale.
STAGES: dict[str, Stage] = {
    # The files of a published data set. These jobs run first, so that missing files end the run at once.
    "inventory": Stage(
        _outputs(inventory="inventory.json"),
        _ARRAYS,
        title="Data on disk",
        layer=0,
        matters="kind source.path source.*",
        priority=100,
        reusable=False,
    ),
    # The meshes of one class of a family.
    "build_shapes": Stage(
        _outputs(shapes="shapes.npz", manifest="manifest.json"),
        _ARRAYS,
        title="Shapes",
        layer=1,
        request=Request(cpus=1, mem_mb=4_000, runtime_min=60),  # 1,331 meshes
        in_parts=True,
        matters="kind shapes.instances shapes.scalings shapes.normalise shapes.whiteness seed",
    ),
    # A block of a class's meshes from disk.
    "read_shapes": Stage(
        _outputs(shapes="shapes.npz", manifest="manifest.json", sources=_SOURCES),
        ("numpy", "pillow", "trimesh"),
        title="Shapes",
        layer=1,
        request=Request(cpus=1, mem_mb=8_000, runtime_min=240),  # up to 1,100 meshes of ShapeNetCore
        in_parts=True,
        matters="kind source.path",
    ),
    # Blender renders a block of instances of one class from all its views.
    "render_shard": Stage(
        _outputs(views="views.h5", manifest="manifest.json"),
        ("numpy", "bpy", "h5py"),
        title="Views",
        layer=2,
        # 2,500 frames of 224 px and 32 samples: up to 90 minutes of one core; 1 GB a Blender process
        request=Request(cpus=0, mem_mb=2_000, mem_mb_per_cpu=1_000, runtime_min=240),
        role="views",
        in_parts=True,
        matters="cameras.protocol cameras.views cameras.poses render.resolution_px render.samples seed",
    ),
    # A block of a class's published views from disk.
    "read_shard": Stage(
        _outputs(views="views.h5", manifest="manifest.json", sources=_SOURCES),
        ("numpy", "pillow", "openexr", "h5py"),
        title="Views",
        layer=2,
        request=Request(cpus=1, mem_mb=4_000, runtime_min=120),  # up to 25,000 images
        role="views",
        in_parts=True,
        matters="kind source.path source.split source.views source.resolution_px",
    ),
    # The voxels that the meshes of one file touch.
    "voxelise_shard": Stage(
        _outputs(volumes="volumes.h5", manifest="manifest.json"),
        ("numpy", "h5py"),
        title="Voxels",
        layer=2,
        request=Request(cpus=1, mem_mb=8_000, runtime_min=60),  # 1,100 meshes of ShapeNetCore, half a second each
        in_parts=True,
        matters="voxels.resolution voxels.object_voxels voxels.rotations voxels.* seed",
    ),
    # A block of a class's volumes from disk.
    "read_volumes": Stage(
        _outputs(volumes="volumes.h5", manifest="manifest.json", sources=_SOURCES),
        ("numpy", "scipy", "h5py"),
        title="Voxels",
        layer=2,
        request=Request(cpus=1, mem_mb=4_000, runtime_min=60),
        in_parts=True,
        matters="source.path source.format source.resolution",
    ),
    # The manifest of a voxel set: files, classes, splits.
    "index_voxels": Stage(
        _outputs(manifest="manifest.json"),
        _ARRAYS,
        title="Voxel manifest",
        layer=3,
        request=Request(cpus=1, mem_mb=2_000, runtime_min=30),
        role="manifest",
        matters="name split.mode split.ratio seed",
        reusable=False,
    ),
    # The manifest of a family: shards, classes, splits.
    "index_views": Stage(
        _outputs(manifest="manifest.json"),
        _ARRAYS,
        title="View manifest",
        layer=3,
        request=Request(cpus=1, mem_mb=2_000, runtime_min=30),
        role="manifest",
        matters="family split.mode split.ratio views resolution_px seed",
        reusable=False,
    ),
    # Background textures, procedural or read from DTD.
    "make_textures": Stage(
        _outputs(textures="textures.npz", sources=_SOURCES),
        ("numpy", "pillow"),
        title="Textures",
        layer=3,
        request=Request(cpus=1, mem_mb=4_000, runtime_min=30),  # 1,200 images
        matters="textures.source textures.path textures.images_per_class textures.resolution_px seed",
    ),
    # Which views, on which backgrounds, form a classification set.
    "draw_set": Stage(
        _outputs(table="set.parquet"),
        _VIEWS,
        title="Image set",
        layer=4,
        request=Request(cpus=1, mem_mb=4_000, runtime_min=30),  # 156,000 rows
        matters="set.kind set.path set.images set.background.kind seed",
    ),
    # The pixels of a block of a set of pictures: from a folder, by torchvision's name, or computed by a plug-in.
    "pack_images": Stage(
        _outputs(images="images.npy", manifest="manifest.json", sources=_SOURCES),
        ("numpy", "pillow", "torchvision", "pandas", "pyarrow"),
        title="Images",
        layer=5,
        request=Request(cpus=1, mem_mb=8_000, runtime_min=1_440),  # 1.3 million pictures at 150 a second: 2.4 hours
        in_parts=True,
        matters="set.kind set.path set.resolution_px set.fit set.resize_px block",
    ),
    # A reconstruction pre-training: DVR, pixelNeRF, AE, VAE or any module in robust3d.pretraining.
    "pretrain": Stage(
        _outputs(
            model="model.safetensors",
            info="model.json",
            metrics="metrics.json",
            reconstructions="reconstructions.png",
        ),
        _LEARNING,
        title="Pre-training",
        layer=4,
        # DVR and pixelNeRF: 400,000 steps, all views in memory
        request=Request(cpus=4, mem_mb=64_000, runtime_min=2_880, gpus=1),
        role="pre-training",
        matters="seed method architecture.name normalisation params.loop.steps params.batch params.loop.learning_rate "
        "input_background.kind target_background.kind params.hidden params.width params.latent_dim params.pixels "
        "params.rays params.input_px",
        priority=10,
    ),
    # The encoder of a pre-training, and which of its weights were trained.
    "extract_encoder": Stage(
        _outputs(encoder="encoder.safetensors", info="encoder.json"),
        ("torch",),
        title="Encoder",
        layer=5,
        request=Request(cpus=1, mem_mb=4_000, runtime_min=15),
        matters="",
        priority=10,
    ),
    # An encoder from weights on disk, such as ImageNet's.
    "import_encoder": Stage(
        _outputs(encoder="encoder.safetensors", info="encoder.json"),
        ("torch", "torchvision"),
        title="Encoder",
        layer=5,
        request=Request(cpus=1, mem_mb=4_000, runtime_min=15),
        matters="architecture.name params.weights normalisation",
        priority=10,
    ),
    # Standard or adversarial training, from scratch or from an encoder.
    "train_classifier": Stage(
        _outputs(classifier="classifier.safetensors", info="classifier.json", metrics="metrics.json"),
        _LEARNING,
        title="Classifier",
        layer=6,
        # 60 epochs of 130,000 images (20 GB at 224 px) with PGD-7
        request=Request(cpus=4, mem_mb=64_000, runtime_min=1_440, gpus=1),
        role="classifier",
        matters="classifier.architecture.name classifier.seed classifier.objective classifier.attack.norm "
        "classifier.attack.epsilon classifier.attack.step_size classifier.attack.steps classifier.epochs "
        "classifier.batch_size classifier.learning_rate classifier.batchnorm classifier.selection "
        "set.background.kind set.images",
    ),
    # The classifier of volumes by which generated ones are judged.
    "train_reference": Stage(
        _outputs(reference="reference.safetensors", info="reference.json", metrics="metrics.json"),
        ("numpy", "torch", "lightning-fabric", "h5py"),
        title="Reference network",
        layer=4,
        request=Request(cpus=4, mem_mb=16_000, runtime_min=240, gpus=1),  # 60 epochs of 10,000 volumes
        matters="reference.width reference.epochs reference.seed reference.*",
    ),
    # Per-image tests of a trained classifier: any module in robust3d.probes. A probe that needs more than an hour gets
    # an entry in `variants`, or more time in the profile: `set-resources: {probe: {runtime: 600}}`.
    "probe": Stage(
        _outputs(metrics="metrics.json", outcomes="outcomes.parquet"),
        _LEARNING,
        title="Probe",
        layer=7,
        request=_PROBE,
        matters="probe params.norm params.epsilons params.iterations params.square_queries params.backend "
        "params.search_precision params.shrink params.seed sets.*.background.kind sets.shifted.images params.*",
        variants={
            "autoattack": Variant("AutoAttack", replace(_PROBE, runtime_min=1_440)),  # 13,000 images, five budgets
            "shift": Variant("Shift test", _PROBE),
            "accuracy": Variant("Accuracy", replace(_PROBE, runtime_min=30)),
            "corruptions": Variant("Corruptions", replace(_PROBE, runtime_min=1_440)),  # 50,000 images, 96 times
            "distortions": Variant("Distortions", replace(_PROBE, runtime_min=480)),  # 50,000 images, PGD and potrace
            "robustness": Variant("Robustness", replace(_PROBE, runtime_min=720)),  # 2.4 million images of 224 px
            "dissection": Variant("Dissection", replace(_PROBE, mem_mb=32_000, runtime_min=480)),  # 63,000 images
            "ablation": Variant("Ablation", replace(_PROBE, runtime_min=480)),  # 1,200 images, without 5,808 channels
            "smoothness": Variant("Smoothness", replace(_PROBE, runtime_min=240)),  # 50,000 images, twice
            "cue_conflict": Variant("Shape or texture", _PROBE),  # 1,280 images
            "brain": Variant("Brain predictivity", replace(_PROBE, mem_mb=64_000, runtime_min=480)),  # 2,560 images
            "depth": Variant("Depth heads", replace(_PROBE, mem_mb=64_000, runtime_min=480)),
        },
    ),
    # One start on one image set: fine-tuning and linear probes, on few to all labels.
    "transfer": Stage(
        _outputs(metrics="metrics.json", outcomes="outcomes.parquet"),
        _LEARNING,
        title="Transfer",
        layer=6,
        request=Request(cpus=4, mem_mb=64_000, runtime_min=1_440, gpus=1),  # 90 epochs of 50,000 images of 224 px
        matters="set.kind labels trainings.*.epochs trainings.*.learning_rate trainings.*",
    ),
    # Introspective training on voxels, its baseline and its controls.
    "train_voxels": Stage(
        _outputs(
            classifier="classifier.safetensors",
            info="classifier.json",
            metrics="metrics.json",
            negatives="negatives.h5",
        ),
        ("numpy", "torch", "lightning-fabric", "h5py"),
        title="Network on voxels",
        layer=6,
        request=Request(cpus=4, mem_mb=16_000, runtime_min=2_880, gpus=1),  # 400 syntheses of 1,000 volumes of 32 cubed
        matters="training.objective training.supervised training.seed training.alpha training.cascades category "
        "training.*",
    ),
    # The shapes that introspective training synthesised, in the file that every generator writes.
    "generate_voxels": Stage(
        _outputs(generated="generated.h5"),
        ("numpy", "h5py"),
        title="Generated volumes",
        layer=7,
        request=Request(cpus=1, mem_mb=16_000, runtime_min=15),  # 10,000 volumes of 32 cubed
        matters="iterations samples threshold",
    ),
    # 3D-VAE or 3D-GAN on voxels, and volumes that it generates.
    "train_generator": Stage(
        _outputs(
            model="model.safetensors",
            info="info.json",
            metrics="metrics.json",
            generated="generated.h5",
        ),
        ("numpy", "torch", "lightning-fabric", "h5py"),
        title="Generator of volumes",
        layer=6,
        request=Request(cpus=4, mem_mb=16_000, runtime_min=1_440, gpus=1),
        matters="training.method training.seed training.width training.steps category training.*",
    ),
    # Scores of generated volumes by the reference network, and of noise, mean shapes and held-out shapes.
    "judge_voxels": Stage(
        _outputs(metrics="metrics.json", outcomes="outcomes.parquet"),
        ("numpy", "torch", "h5py", "pandas", "pyarrow"),
        title="Judged volumes",
        layer=7,
        request=Request(cpus=4, mem_mb=32_000, runtime_min=60, gpus=1),  # 20,000 volumes, 4,096 features of each
        matters="judge.splits judge.distance_samples judge.* categories",
    ),
    # A linear classifier on the features of an unsupervised network.
    "classify_features": Stage(
        _outputs(metrics="metrics.json", outcomes="outcomes.parquet"),
        ("numpy", "torch", "h5py", "pandas", "pyarrow"),
        title="Features classified",
        layer=7,
        request=Request(cpus=4, mem_mb=32_000, runtime_min=120),  # 4,000 volumes of 32,768 voxels
        matters="svm.penalty svm.features",
    ),
    # Attacks on a classifier of voxels, with the answers of others.
    "attack_voxels": Stage(
        _outputs(metrics="metrics.json", outcomes="outcomes.parquet"),
        (*_LEARNING, "pyarrow"),
        title="Attacks on voxels",
        layer=7,
        request=_PROBE,
        matters="attack.epsilon attack.steps attack.readings attack.*",
    ),
    # A table with the lineage of its cells.
    "tabulate": Stage(
        _TABLE,
        ("numpy", "pandas", "scipy"),
        title="Table",
        layer=8,
        matters="study",
        reusable=False,
        published=_published(_TABLE),
        shown=Shown("table", "table", "table.rst", "Tables"),
    ),
    # A plot, and its numbers with their lineage as in a table.
    "plot": Stage(
        _PLOT,
        ("numpy", "pandas", "scipy", "matplotlib"),
        title="Figure",
        layer=8,
        reusable=False,
        published=_published(_PLOT),
        shown=Shown("plot", "picture", "figure.rst", "Figures"),
    ),
    # A figure of images: gallery, examples, reconstructions.
    "draw": Stage(
        _PICTURE,
        ("numpy", "pillow"),
        title="Figure",
        layer=8,
        role="picture",
        reusable=False,
        published=_published(_PICTURE),
        shown=Shown("picture", "picture", "figure.rst", "Figures"),
    ),
}


@functools.cache
def lock() -> dict[str, str]:
    """The locked version of every package."""
    path = own_file(LOCK)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run from the root of the project") from None
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", text, flags=re.MULTILINE))


def locked_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions from the lock file, not of the installed packages: the same on a head node and on a GPU node."""
    if unknown := [name for name in packages if name not in lock()]:
        raise UserError(f"{LOCK}: there is no {unknown[0]} in it; add it to envs/requirements.in and lock it")
    return {name: lock()[name] for name in packages}
