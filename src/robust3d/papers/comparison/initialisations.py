"""The rows: which initialisations there are, what each is compared with, and what its pre-training took."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `robust3d.study` leads to code that is in no closure of a table
    from robust3d.architectures import ArchitectureParams
    from robust3d.named import Sources
    from robust3d.papers.comparison.section import Section
    from robust3d.study.entries import Pretraining
    from robust3d.study.plan import Plan

SCRATCH = "Scratch"
NONE, SYNTHETIC, PUBLISHED, OTHER = "no pre-training", "synthetic images", "published weights", "other methods"
AFTER = (SYNTHETIC, PUBLISHED, OTHER)  # groups after those of the section


@dataclass(frozen=True)
class Initialisation:
    """A row of each training.

    Attributes:
        key: of `pretraining`; None: from scratch.
        label: as printed.
        group: of the picture.
        architecture: of its networks.
        missing: why none can start from it here; None: one can.
    """

    key: str | None
    label: str
    group: str
    architecture: "ArchitectureParams"
    missing: str | None


def initialisations(plan: "Plan", section: "Section") -> list[Initialisation]:
    """From scratch, then every entry of `pretraining` that the section does not leave out, by group, in its order."""
    study = plan.study
    first = next(iter(section.trainings.values())).classifiers[section.experiment][0]
    found = [Initialisation(None, SCRATCH, NONE, study.architecture(first, None), None)]
    for key, entry in study.pretraining.items():
        if section.left_out.get(key) is None:
            group, missing = _group(entry, section), _missing(plan, key)
            found.append(Initialisation(key, entry.label, group, entry.architecture, missing))
    order = [NONE, *section.groups, *AFTER]
    return sorted(found, key=lambda one: order.index(one.group))


def partner(of: Initialisation, among: list[Initialisation]) -> Initialisation | None:
    """The initialisation from scratch of the same architecture; None: it is one itself, or there is none."""
    found = next((one for one in among if one.group == NONE and one.architecture == of.architecture), None)
    return None if of.group == NONE else found


def alone(start: Initialisation) -> str | None:
    """Why an initialisation without partner is compared with none; None: it is one from scratch."""
    if start.group == NONE:
        return None
    wanted = f"method untrained and architecture {start.architecture.text}"
    return f"compared with none: no entry of `pretraining` has {wanted}"


def _group(entry: "Pretraining", section: "Section") -> str:
    if not entry.gives_encoder:
        return NONE
    if not entry.trains:
        return PUBLISHED
    if entry.set is not None:
        return SYNTHETIC
    return next((name for name, methods in section.groups.items() if entry.method in methods), OTHER)


def _missing(plan: "Plan", key: str) -> str | None:
    """Why nothing can start from weights on disk: their file is not there."""
    entry = plan.study.pretraining[key]
    if entry.trains or not entry.gives_encoder:
        return None
    named = entry.method_params().weights
    if plan.on_disk.weights(named, entry.architecture) is not None:
        return None
    return f"no file {named or f'of the weights of {entry.architecture.name}'}; resources/README.md says how to get it"


def spent(plan: "Plan", found: "Sources", section: "Section", start: Initialisation) -> dict[str, Any]:
    """What its pre-training took, and that of the encoders that it started from.

    Returns:
        `runs`: for each seed of the pre-training, names of the files of its jobs; `before`: what came before them
        and is not known here, or None.
    """
    study = plan.study
    chain = list(_chain(study.pretraining, start.key))
    trained = [key for key in chain if study.pretraining[key].trains]
    known = all(study.pretraining[key].trains or not study.pretraining[key].gives_encoder for key in chain)
    experiment = study.experiments[section.experiment]
    runs = [
        [found.add(plan.pretrain(key, experiment, seed), "info", "record") for key in trained]
        for seed in study.training_seeds
    ]
    before = (
        None if known else f"how the weights of {study.pretraining[chain[-1]].label} were trained is not known here"
    )
    return {"runs": [list(names) for names in dict.fromkeys(map(tuple, runs))], "before": before}


def _chain(entries: "dict[str, Pretraining]", key: str | None) -> Iterator[str]:
    """An entry, the one that it starts from, and so on."""
    from robust3d.study.entries import RANDOM

    while key is not None and key != RANDOM:
        yield key
        key = entries[key].start
