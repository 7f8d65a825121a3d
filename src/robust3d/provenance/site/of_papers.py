"""What the site says of each paper: its question, its tables and figures, and which of them are there."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from robust3d.provenance.site.plain import slug, title
from robust3d.registry import PACKAGES
from robust3d.study.targets import papers, target_path, targets


class Made(Protocol):
    """A table or figure that was made."""

    @property
    def name(self) -> str:
        """`shapebias/table1`."""

    @property
    def page(self) -> str:
        """Its page, from the site's root."""


@dataclass(frozen=True)
class Target:
    """A table or figure of a paper.

    Attributes:
        name: `shapebias/table1`.
        made: what has been made of it, of whatever study.
        state: what keeps it from being that of the study; empty: nothing does, None: no study was asked.
    """

    name: str
    made: Made | None
    state: str | None

    @property
    def title(self) -> str:
        """`Table 1`."""
        return title(self.name.rpartition("/")[2])

    @property
    def command(self) -> str:
        """What makes it."""
        return f"snakemake {target_path(self.name)}"


@dataclass(frozen=True)
class Paper:
    """One paper, as its package describes it."""

    key: str
    name: str
    title: str
    question: str
    targets: tuple[Target, ...]

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return f"papers/{slug(self.key)}.html"

    @property
    def state(self) -> str:
        """`7 of 12 are there, 2 of them not those of the study`."""
        made = [target for target in self.targets if target.made]
        stale = sum(bool(target.state) for target in made)
        text = f"{len(made)} of {len(self.targets)} are there"
        return text + (f", {stale} of them {'is' if stale == 1 else 'are'} not of the study" if stale else "")


def read_papers(made: Sequence[Made], states: Mapping[str, str]) -> list[Paper]:
    """All papers, the main one first.

    Args:
        made: tables and figures of the results.
        states: what is wrong with each target for a study, empty where nothing is; none: no study was asked.
    """
    by_name = {one.name: one for one in made}
    found = []
    for key in papers():
        package = importlib.import_module(f"{PACKAGES['paper']}.{key}")
        own = tuple(Target(name, by_name.get(name), states.get(name)) for name in targets(key))
        found.append(Paper(key, package.NAME, package.TITLE, package.QUESTION, own))
    return found
