"""Plans what networks learn from: the data of a pre-training, and transfers to image sets."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robust3d.study.entries import Experiment, Pretraining
from robust3d.study.jobs import Inputs, Job, slug

if TYPE_CHECKING:
    from robust3d.study.plan import Plan


def pretraining_data(
    plan: "Plan", entry: Pretraining, experiment: Experiment
) -> tuple[str, tuple[Inputs, Inputs], dict[str, Any]]:
    """The name of a pre-training's set or family, its files (inputs, bulk files), and what its spec says of them."""
    if entry.set is not None:
        return entry.set, plan.set_inputs(entry.set), {"set": plan.set_params(entry.set)}
    if entry.data is not None:
        family, seen, target = entry.data.family, entry.data.input, entry.data.target
        classes = plan.classes(family)
    else:
        family = plan.study.sets[experiment.set].family
        seen, target = experiment.backgrounds
        classes = plan.study.sets[experiment.set].labels(plan.classes(family))
    shown = {"classes": classes, "input_background": seen, "target_background": target}
    return family, plan.views(family, seen, target), shown


def transfer(
    plan: "Plan",
    experiment: str,
    pretraining: str | None,
    target: str,
    trainings: Sequence[str],
    labels: Sequence[int | None],
    seed: int,
) -> Job:
    """Trainings of one start on one set, each with some numbers of labels.

    Args:
        plan: of the study.
        experiment: key of the one whose pre-trainings are transferred.
        pretraining: key of `pretraining`; None: random weights.
        target: key of `sets`.
        trainings: keys of `classifiers`.
        labels: for each class; None: all.
        seed: of the trainings.
    """
    own = plan.study.experiments[experiment]
    there = own.model_copy(update={"set": target, "pretrained_as": own.pretrained_as or experiment})
    # What a training is asked for on that set with all labels: its parameters and inputs.
    jobs = {key: plan.classifier_job(key, there, pretraining, seed) for key in trainings}
    first = next(iter(jobs.values()))
    job_params = {
        "trainings": {key: job.params["classifier"] for key, job in jobs.items()},
        "labels": list(labels),
        "set": first.params["set"],
    }
    plugins = tuple(dict.fromkeys(plugin for job in jobs.values() for plugin in job.plugins))
    label = slug(f"{target}-{pretraining or 'scratch'}-s{seed}")
    return plan.add(Job("transfer", label, job_params, first.inputs, first.bulk, plugins))
