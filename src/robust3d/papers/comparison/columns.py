"""The columns: which jobs' outcomes fill them, or why a scale has none."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from robust3d.named import OUTCOMES, Sources
from robust3d.papers.comparison.initialisations import Initialisation

if TYPE_CHECKING:
    from robust3d.papers.comparison.section import Probed, Section
    from robust3d.study.plan import Plan

# For each seed the names of the outcomes, all of which make one measure; or why there are none.
Asked = list[list[str]] | str


@dataclass(frozen=True)
class Question:
    """What is asked of every initialisation after every training, and the columns that show the answers.

    Attributes:
        ask: the outcomes of an initialisation after a training.
        columns: that are read from them.
    """

    ask: Callable[[Initialisation, str], Asked]
    columns: "tuple[Column, ...]"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its heading.
        measure: name of the function of `measures` that reads outcomes.
        options: further arguments of that function.
        shown: heading in the picture; None: not shown.
    """

    name: str
    measure: str
    options: dict[str, Any] = field(default_factory=dict)
    shown: str | None = None


def questions(plan: "Plan", found: Sources, section: "Section") -> list[Question]:
    """All questions in the order of the section."""
    probed = [_probed(plan, found, section, asked) for asked in section.probes.values()]
    return [*probed, _transferred(plan, found, section), _brain(plan, found, section)]


def _probed(plan: "Plan", found: Sources, section: "Section", asked: "Probed") -> Question:
    study = plan.study
    experiment = asked.experiment or section.experiment

    def ask(start: Initialisation, name: str) -> Asked:
        training = section.trainings[name]
        if asked.trainings is not None and name not in asked.trainings:
            others = " and ".join(section.trainings[one].label for one in asked.trainings)
            return f"at this scale asked after {others} training only"
        if training.starts is not None and start.key not in (None, *training.starts):
            return f"{training.label} training is left out here at this scale"
        keys = training.classifiers.get(experiment, ())
        fits = [key for key in keys if _fits(plan, key, start)]
        if not fits:
            at = f"papers.comparison.trainings.{name}.classifiers.{experiment}"
            return f"no classifier of {at} has the architecture {start.architecture.text}"
        return [[outcomes] for outcomes in found.outcomes(experiment, asked.probe, fits[0], start.key)]

    if asked.probe in study.attacks:
        budgets = list(map(str, study.epsilons(study.experiments[experiment], asked.probe)))  # type: ignore[arg-type]
        robust = [Column(f"{asked.label} {one}", "robust", {"budget": one}) for one in budgets]
        area = Column(f"{asked.label}, area", "area", shown=f"{asked.label}\nmean up to {budgets[-1]}")
        return Question(ask, (*robust, area))
    measure = {"corruptions": "corrupted", "cue_conflict": "shape"}.get(study.probes[asked.probe].probe, "right")
    options = {"images": asked.images} if measure == "right" else {}
    return Question(ask, (Column(asked.label, measure, options, shown=asked.label),))


def _fits(plan: "Plan", classifier: str, start: Initialisation) -> bool:
    try:
        return plan.study.architecture(classifier, start.key) == start.architecture
    except ValueError:  # classifier and encoder name different ones
        return False


def _of_the_first(section: "Section", training: str) -> str | None:
    """Why a question to the initialisation itself is not answered in the rows of a training; None: it is."""
    first, declared = next(iter(section.trainings.items()))
    return (
        None if training == first else f"asked of the initialisation itself: see the row of {declared.label} training"
    )


def _transferred(plan: "Plan", found: Sources, section: "Section") -> Question:
    from robust3d.study.learning_jobs import transfer  # for planning; writing needs none of it

    study, asked = plan.study, section.transfer

    def ask(start: Initialisation, training: str) -> Asked:
        if (why := _of_the_first(section, training)) is not None:
            return why
        jobs = [
            [
                transfer(plan, asked.experiment, start.key, target, asked.trainings, asked.labels, seed)
                for target in asked.targets
            ]
            for seed in study.training_seeds
        ]
        return [[found.add(job, *OUTCOMES) for job in of_seed] for of_seed in jobs]

    shown = [
        Column(one.label, "transferred", {"training": one.training, "labels": one.labels}, shown=one.label)
        for one in section.transferred.values()
    ]
    return Question(ask, tuple(shown))


def _brain(plan: "Plan", found: Sources, section: "Section") -> Question:
    """A column for each region whose responses were recorded; synthetic ones say nothing of brains."""
    asked, study = section.brain, plan.study
    params: Any = study.probe(asked.probe, study.experiments[asked.experiment]).params
    if params.assembly is None:
        why = f"no recorded responses are configured: probes.{asked.probe}.params.assembly is null"
        return Question(lambda start, training: why, (Column("Brain", "predictivity"),))

    def ask(start: Initialisation, training: str) -> Asked:
        if (why := _of_the_first(section, training)) is not None:
            return why
        return [[name] for name in found.outcomes(asked.experiment, asked.probe, asked.classifier, start.key)]

    regions = [Column(f"Brain, {one}", "predictivity", {"region": one}, f"Brain, {one}") for one in params.regions]
    return Question(ask, tuple(regions))
