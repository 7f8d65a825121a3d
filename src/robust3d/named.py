"""Named inputs of jobs that read several files of one kind.

On the command line and in records such an input is called ``outcomes:black-linf-scratch-s0-linf``: its kind, then its
name. So a table's cells refer to outcomes by name, and the order of files has no meaning.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for types only: jobs import this module, and everything imported here enters their code closure
    from robust3d.study.jobs import Inputs, Job
    from robust3d.study.plan import Plan

OUTCOMES = ("metrics", "outcomes")  # outputs of a probe


def input_name(kind: str, name: str) -> str:
    """The full name of an input."""
    return f"{kind}:{name}"


def kind_of(name: str) -> str:
    """The kind of an input, without its name: `outcomes`."""
    return name.partition(":")[0]


class Sources:
    """Collects the inputs of a table or figure, each job's files under one name.

    The name is the readable part of the job's folder, without the digest: it does not change when the job's digest
    changes. A second job of the same label is numbered: `…-2`.

    Attributes:
        inputs: for the job of the table or figure.
    """

    def __init__(self, plan: "Plan") -> None:
        self.plan = plan
        self.inputs: Inputs = {}
        self._jobs: dict[str, Job] = {}

    def add(self, job: "Job", *outputs: str) -> str:
        """Add outputs of a job; returns their name."""
        number, name = 1, job.label
        while self._jobs.setdefault(name, job) is not job:
            number += 1
            name = f"{job.label}-{number}"
        self.inputs |= {input_name(output, name): ((job, output),) for output in outputs}
        return name

    def outcomes(self, experiment: str, probe: str, classifier: str, pretraining: str | None) -> list[str]:
        """Add the outcomes of a probe on one column's classifiers.

        Args:
            experiment: key of `experiments`.
            probe: key of `probes` or `attacks`.
            classifier: key of `classifiers`.
            pretraining: key of `pretraining`; None: from scratch.

        Returns:
            One name per training seed.
        """
        config = self.plan.study.experiments[experiment]
        seeds = self.plan.study.training_seeds
        models = [self.plan.train_classifier(classifier, config, pretraining, seed) for seed in seeds]
        return [self.add(self.plan.outcomes(model, probe, config), *OUTCOMES) for model in models]
