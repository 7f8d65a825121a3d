"""Plans jobs on voxel sets: trainings, attacks, generated volumes and their judgement."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from robust3d.attacks.voxel_params import VoxelAttackParams
from robust3d.generation.params import JudgeParams, SvmParams
from robust3d.named import input_name
from robust3d.study.jobs import Inputs, Job, slug
from robust3d.training.introspection.params import VoxelTrainingParams
from robust3d.training.reference3d.params import ReferenceParams
from robust3d.training.volume_generators.params import GeneratorParams

if TYPE_CHECKING:
    from robust3d.study.plan import Plan


def train_voxels(
    plan: "Plan", voxels: str, name: str, params: VoxelTrainingParams, seed: int, category: str | None = None
) -> Job:
    """A training on a voxel set (key of `voxels`), or on one of its classes; `name` is for people."""
    inputs, bulk = plan.voxels(voxels)
    job_params = {"training": params.model_copy(update={"seed": seed}), "category": category}
    label = slug(f"{voxels}-{name}{f'-{category}' if category else ''}-s{seed}")
    return plan.add(Job("train_voxels", label, job_params, inputs, bulk))


def generate_voxels(plan: "Plan", trained: Job, samples: int, iterations: int = 1, threshold: float = 0.5) -> Job:
    """The shapes that an introspective training synthesised last, as `generated`: see `robust3d.data.generated`."""
    inputs: Inputs = {"negatives": ((trained, "negatives"),), "info": ((trained, "info"),)}
    job_params = {"samples": samples, "iterations": iterations, "threshold": threshold}
    return plan.add(Job("generate_voxels", slug(f"{trained.label}-last-{iterations}"), job_params, inputs))


def train_generator(
    plan: "Plan", voxels: str, name: str, params: GeneratorParams, seed: int, category: str | None = None
) -> Job:
    """A generator to compare with, trained on a voxel set (key of `voxels`) or on one of its classes."""
    inputs, bulk = plan.voxels(voxels)
    job_params = {"training": params.model_copy(update={"seed": seed}), "category": category}
    label = slug(f"{voxels}-{name}{f'-{category}' if category else ''}-s{seed}")
    return plan.add(Job("train_generator", label, job_params, inputs, bulk))


def attack_voxels(
    plan: "Plan", voxels: str, attacked: Job, judges: Mapping[str, Job], params: VoxelAttackParams
) -> Job:
    """Attacks a classifier; `judges`, by name, answer to the same adversarial volumes."""
    inputs, bulk = plan.voxels(voxels)
    named: Inputs = {"classifier": ((attacked, "classifier"),), "info": ((attacked, "info"),)}
    for name, judge in judges.items():
        named |= {input_name(output, name): ((judge, output),) for output in ("classifier", "info")}
    job_params = {"attack": params, "judges": sorted(judges)}
    return plan.add(Job("attack_voxels", slug(f"{attacked.label}-attacked"), job_params, {**inputs, **named}, bulk))


def train_reference(plan: "Plan", voxels: str, params: ReferenceParams) -> Job:
    """The classifier that judges volumes generated after a voxel set."""
    inputs, bulk = plan.voxels(voxels)
    return plan.add(Job("train_reference", slug(f"{voxels}-s{params.seed}"), {"reference": params}, inputs, bulk))


def judge_voxels(
    plan: "Plan",
    voxels: str,
    reference: Job,
    generated: Mapping[str, Sequence[Job]],
    categories: Sequence[str],
    params: JudgeParams,
    seed: int,
) -> Job:
    """Judges sets of generated volumes, by name the jobs with an output `generated`, of classes that it compares."""
    inputs, bulk = plan.voxels(voxels)
    named: Inputs = {"reference": ((reference, "reference"),), "info": ((reference, "info"),)}
    for name, jobs in generated.items():
        named |= {input_name("generated", name): tuple((job, "generated") for job in jobs)}
    job_params = {"judge": params, "sets": list(generated), "categories": list(categories), "seed": seed}
    return plan.add(Job("judge_voxels", slug(f"{voxels}-s{seed}"), job_params, {**inputs, **named}, bulk))


def classify_features(plan: "Plan", voxels: str, trained: Job, params: SvmParams) -> Job:
    """A linear classifier on the last convolution of a trained network, of an untrained one, and on voxels."""
    inputs, bulk = plan.voxels(voxels)
    named: Inputs = {"classifier": ((trained, "classifier"),), "info": ((trained, "info"),)}
    return plan.add(Job("classify_features", trained.label, {"svm": params}, {**inputs, **named}, bulk))
