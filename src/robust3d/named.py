"""Inputs under names: of a job that reads several files of one kind, each has a name of its own.

On the command line and in records such an input is called ``outcomes:black-linf-scratch-s0-linf``: what it is, then
which one. So a table's cells say whose outcomes they show, and no order of files means anything.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # jobs read this module, and must import nothing that their code does not name
    from robust3d.study.jobs import Inputs, Job
    from robust3d.study.plan import Plan

OUTCOMES = ("metrics", "outcomes")  # what a probe gives


def input_name(kind: str, name: str) -> str:
    """The whole name of an input."""
    return f"{kind}:{name}"


def kind_of(name: str) -> str:
    """What an input is, without which one: `outcomes`."""
    return name.partition(":")[0]


class Sources:
    """What a table or figure is made from, each job's files under one name.

    The name is the readable part of the job's folder, without the digest: it stays the same when the job is another one
    after a change. A second job of the same label is numbered: `…-2`.

    Attributes:
        inputs: for the job of the table or figure.
    """

    def __init__(self, plan: "Plan") -> None:
        self.plan = plan
        self.inputs: Inputs = {}
        self._jobs: dict[str, Job] = {}

    def add(self, job: "Job", *outputs: str) -> str:
        """Read outputs of a job; the name to find them by."""
        number, name = 1, job.label
        while self._jobs.setdefault(name, job) is not job:
            number += 1
            name = f"{job.label}-{number}"
        self.inputs |= {input_name(output, name): ((job, output),) for output in outputs}
        return name

    def outcomes(self, experiment: str, probe: str, classifier: str, pretraining: str | None) -> list[str]:
        """Read what a probe finds of one column's classifiers.

        Args:
            experiment: key of `experiments`.
            probe: key of `probes` or `attacks`.
            classifier: key of `classifiers`.
            pretraining: key of `pretraining`; None: from scratch.

        Returns:
            For each training seed the name to find it by.
        """
        config = self.plan.study.experiments[experiment]
        seeds = self.plan.study.training_seeds
        models = [self.plan.train_classifier(classifier, config, pretraining, seed) for seed in seeds]
        return [self.add(self.plan.outcomes(model, probe, config), *OUTCOMES) for model in models]
