"""Blank views: those without a pixel of the object, and those without a pixel of anything else.

They show nothing, but a classification set would label them with the object's class.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from robust3d.data.frame import Frame
from robust3d.data.params import BlankPolicy
from robust3d.errors import UserError

_SHOWN = 5


def why_blank(mask: np.ndarray) -> str | None:
    """Why the view of a mask (H, W) is blank, in words; None if it is not."""
    if not mask.any():
        return "no pixel of the object"
    return "no pixel of the background" if mask.all() else None


@dataclass
class BlankViews:
    """Blank views found in a shard or a family, and how they were treated.

    Attributes:
        policy: "error": the job ends at the first one; "skip": other views of the object replace them, or the
            object is left out; "keep": they are used as they are.
        views: the blank views of each object, in words.
        left_out: objects without frames, because too few of their views are not blank.
    """

    policy: BlankPolicy
    views: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, instance: str, view: str, reason: str) -> None:
        """Record a blank view.

        Raises:
            UserError: the policy is "error".
        """
        if self.policy == "error":
            raise UserError(
                f"{instance}: {view} has {reason}. Repair it, or set the key blank_views: skip takes other views "
                "in its place or leaves the object out, keep takes it as it is"
            )
        self.views.setdefault(instance, []).append(f"{view}: {reason}")

    def entry(self) -> dict[str, Any]:
        """The entry of a manifest; empty if there are no blank views."""
        return {"blank": asdict(self)} if self.views else {}

    def gather(self, class_name: str, entry: dict[str, Any]) -> None:
        """Add the entry of one shard's manifest; without a class its objects have names with their classes."""
        found = BlankViews(**entry.get("blank", {"policy": self.policy}))
        self.policy = found.policy
        prefix = f"{class_name}/" if class_name else ""
        self.views |= {f"{prefix}{instance}": views for instance, views in found.views.items()}
        self.left_out += [f"{prefix}{instance}" for instance in found.left_out]

    def notices(self, family: str) -> list[str]:
        """Flags for every number that depends on these views."""
        if not self.views:
            return []
        count = sum(map(len, self.views.values()))
        found = f"{count:,} blank views (without a pixel of the object, or of anything else) of {_first(self.views)}"
        if self.policy == "keep":
            return [f"family {family}: {found} are among the images (blank_views: keep)"]
        sentences = [f"family {family}: {found} were skipped (blank_views: {self.policy})"]
        if self.left_out:
            sentences.append(f"family {family}: too few other views, so left out: {_first(self.left_out)}")
        return sentences


def _first(names: Iterable[str]) -> str:
    """Number of objects, and the first names."""
    every = list(names)
    shown = ", ".join(every[:_SHOWN]) + (", …" if len(every) > _SHOWN else "")
    return f"{len(every):,} object{'s' * (len(every) > 1)} ({shown})"


def without_blank(frames: Iterable[Frame], blank: BlankViews) -> Iterator[Frame]:
    """The frames of objects without spare views: objects with a blank view are left out or kept, by the policy.

    Args:
        frames: grouped by object; the frames of one object are held in memory.
        blank: collects the blank views; its policy decides.

    Raises:
        UserError: a view is blank and the policy is "error".
    """
    for instance, group in groupby(frames, key=lambda frame: frame.instance):
        views = list(group)
        for frame in views:
            if reason := why_blank(frame.mask):
                blank.add(instance, f"view {frame.view}", reason)
        if instance in blank.views and blank.policy == "skip":
            blank.left_out.append(instance)
        else:
            yield from views
