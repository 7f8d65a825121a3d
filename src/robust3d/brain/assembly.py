"""Recorded responses: trials of sites to images, in any order, with any number of repetitions of each image."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from robust3d.errors import UserError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Assembly:
    """Responses to images.

    Attributes:
        source: where they come from, for messages.
        trials: (presentations, sites).
        shown: (presentations,) place in `stimuli` of the image of each presentation; every image was shown.
        stimuli: id of each image.
        groups: of each image, such as the object in it; Brain-Score's splits hold their shares equal.
        sites: id of each site: a neuron, an electrode, a voxel.
        regions: of each site.
        animals: of each site, also people.
    """

    source: str
    trials: npt.NDArray[np.floating]
    shown: npt.NDArray[np.int64]
    stimuli: tuple[str, ...]
    groups: tuple[str, ...]
    sites: tuple[str, ...]
    regions: tuple[str, ...]
    animals: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that all belongs together.

        Raises:
            UserError: responses that are not finite, or two sites with one id.
        """
        if self.trials.shape != (len(self.shown), len(self.sites)):
            raise ValueError(f"{self.source}: trials of shape {self.trials.shape} do not match their labels")
        if not self.trials.size:
            raise UserError(f"{self.source}: no response in it; ask for other regions, images or sites")
        if not (finite := np.isfinite(self.trials)).all():
            row, column = np.argwhere(~finite)[0]
            raise UserError(
                f"{self.source}: {int((~finite).sum()):,} responses are not finite, the first of site "
                f"{self.sites[column]} to {self.stimuli[self.shown[row]]}; leave such sites or presentations out"
            )
        if len(set(zip(self.animals, self.sites, strict=True))) < len(self.sites):
            raise UserError(f"{self.source}: two sites have the same id; give each its own")

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Presentations of each image."""
        return np.bincount(self.shown, minlength=len(self.stimuli))

    def means(self) -> Array:
        """Responses (images, sites), the mean over repetitions."""
        return self._means(np.ones(len(self.shown), bool))

    def halves(self, generator: np.random.Generator) -> tuple[Array, Array]:
        """Means (images, sites) over two random halves of the repetitions of each image."""
        order = np.lexsort((generator.random(len(self.shown)), self.shown))
        counts = self.counts
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        first = np.empty(len(order), bool)
        first[order] = np.arange(len(order)) - starts < np.repeat((counts + 1) // 2, counts)
        return self._means(first), self._means(~first)

    def _means(self, chosen: npt.NDArray[np.bool_]) -> Array:
        places = np.flatnonzero(chosen)
        shown = self.shown[places]
        weights = 1 / np.bincount(shown, minlength=len(self.stimuli))[shown]
        averaging = sparse.csr_array((weights, (shown, places)), shape=(len(self.stimuli), len(self.shown)))
        return np.asarray(averaging @ self.trials.astype(np.float64), np.float64)

    def check_repetitions(self) -> None:
        """Refuse images that were shown once, which tell nothing of noise.

        Raises:
            UserError: there are some.
        """
        if once := np.flatnonzero(self.counts < 2).tolist():
            raise UserError(
                f"{self.source}: {len(once):,} of {len(self.stimuli):,} images were shown once, such as "
                f"{self.stimuli[once[0]]}, so there is no noise ceiling; leave them out, take the file with single "
                "trials, or give a ceiling of its own"
            )

    def in_region(self, region: str) -> "Assembly":
        """The sites of one region.

        Raises:
            UserError: there is none.
        """
        kept = [place for place, name in enumerate(self.regions) if name == region]
        if not kept:
            there = ", ".join(sorted(set(self.regions)))
            raise UserError(f"{self.source}: no site in region {region!r}; there are {there}")
        return self._with_sites(kept)

    def without_constant_sites(self) -> tuple["Assembly", int]:
        """The sites whose mean response varies over the images, and how many others were left out.

        Raises:
            UserError: none varies.
        """
        varied = np.flatnonzero(np.ptp(self.means(), axis=0) > 0).tolist()
        if not varied:
            raise UserError(f"{self.source}: every site answers all images alike; is this the file of responses?")
        return self._with_sites(varied), len(self.sites) - len(varied)

    def _with_sites(self, kept: Sequence[int]) -> "Assembly":
        def chosen(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(names[place] for place in kept)

        sites, regions, animals = (chosen(names) for names in (self.sites, self.regions, self.animals))
        return replace(self, trials=self.trials[:, kept], sites=sites, regions=regions, animals=animals)

    def of(self, wanted: Sequence[str]) -> "Assembly":
        """The responses to some images, which then stand in the order of `wanted`.

        Raises:
            UserError: an image that was not shown, or that stands there twice.
        """
        number = {name: place for place, name in enumerate(self.stimuli)}
        if absent := [name for name in wanted if name not in number]:
            raise UserError(
                f"{self.source}: {len(absent):,} of {len(wanted):,} images have no response, such as {absent[0]!r}; it "
                f"has {self.stimuli[0]!r} and others. Give the images that were shown, under the same names"
            )
        if len(set(wanted)) < len(wanted):
            raise UserError(f"{self.source}: an image is asked for twice; give each one once")
        new = np.full(len(self.stimuli), -1)
        old = [number[name] for name in wanted]
        new[old] = np.arange(len(old))
        kept = new[self.shown] >= 0
        return replace(
            self,
            trials=self.trials[kept],
            shown=new[self.shown[kept]],
            stimuli=tuple(wanted),
            groups=tuple(self.groups[place] for place in old),
        )


def assembled(
    source: str,
    trials: npt.NDArray[np.floating],
    stimulus: Sequence[str],
    group: Sequence[str],
    sites: Sequence[str],
    regions: Sequence[str],
    animals: Sequence[str],
) -> Assembly:
    """An assembly from presentations in any order; its images are sorted by id.

    Args:
        source: for messages.
        trials: (presentations, sites).
        stimulus: id of each presentation's image.
        group: of each presentation's image.
        sites: ids.
        regions: of the sites.
        animals: of the sites.

    Raises:
        UserError: one image in two groups, and what `Assembly` refuses.
    """
    stimuli, first, shown = np.unique(np.asarray(stimulus, object).astype(str), return_index=True, return_inverse=True)
    groups = np.asarray(group, object).astype(str)
    if (other := groups != groups[first][shown]).any():
        place = int(np.flatnonzero(other)[0])
        raise UserError(f"{source}: image {stimulus[place]} is in two groups; each image has one object")
    return Assembly(
        source,
        trials,
        shown.astype(np.int64),
        tuple(stimuli.tolist()),
        tuple(groups[first].tolist()),
        tuple(map(str, sites)),
        tuple(map(str, regions)),
        tuple(map(str, animals)),
    )
