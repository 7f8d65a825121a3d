"""Iterated function systems: affine maps that are applied at random, the search for categories, and their variants."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robust3d.errors import UserError
from robust3d.fractals.drawing import draw_points
from robust3d.seeds import numpy_generator

Array = npt.NDArray[np.float64]
MAPS = (2, 7)  # fewest and most of a category that is searched for
FACTORS = (-2, -1, 1, 2)  # 1 + k times the step, for each of the six parameters: with the category itself 25 variants
CHAINS = 2000  # that run side by side; each gives count / CHAINS points
BURN_IN = 40  # first steps of a chain, which are not drawn
SEARCH_POINTS, SEARCH_PX = 100_000, 512
_MOST_CANDIDATES = 20_000
_FAR = 1e6  # of a searched category; such a picture is a dot


@dataclass(frozen=True)
class System:
    """Maps (x, y) -> (a x + b y + e, c x + d y + f).

    Attributes:
        maps: (n, 6), a to f of each.
        probabilities: (n,), of being chosen; their sum is 1.
    """

    maps: Array
    probabilities: Array

    @classmethod
    def of(cls, maps: npt.ArrayLike, probabilities: npt.ArrayLike, source: str) -> "System":
        """A system whose values are checked, with probabilities that are scaled to the sum 1.

        Raises:
            UserError: no map, values that are not finite, or probabilities that are none; names `source`.
        """
        found, chances = np.asarray(maps, np.float64).reshape(-1, 6), np.asarray(probabilities, np.float64).ravel()
        if not len(found):
            raise UserError(f"{source}: no map in it; each line is a map: a, b, c, d, e, f, probability")
        if not (np.isfinite(found).all() and np.isfinite(chances).all()):
            bad = int(np.flatnonzero(~(np.isfinite(found).all(1) & np.isfinite(chances)))[0])
            raise UserError(
                f"{source}: map {bad + 1} has a value that is not finite; correct the file, or leave it out"
            )
        if (chances < 0).any() or abs(chances.sum() - 1) > 1e-3:
            raise UserError(f"{source}: its probabilities are not positive with the sum 1, but {chances.sum():g}")
        return cls(found, chances / chances.sum())

    def weighted(self, variant: int, step: float) -> "System":
        """Variant 0 is the system itself; of the others each multiplies one of a to f in all maps (probabilities stay).

        The four factors are 1 - 2k, 1 - k, 1 + k, 1 + 2k for a step of k, as in the published `weights_*.csv`.
        """
        if variant == 0:
            return self
        parameter, factor = divmod(variant - 1, len(FACTORS))
        maps = self.maps.copy()
        maps[:, parameter] *= 1 + FACTORS[factor] * step
        return System(maps, self.probabilities)

    def exponent(self) -> float:
        """Mean logarithmic growth of a distance per step (the largest Lyapunov exponent), estimated from 100 chains.

        Where it is positive, points run away, and there is no picture.
        """
        chosen = numpy_generator("exponent").choice(len(self.maps), size=(100, 100), p=self.probabilities)
        linear = self.maps[:, :4].reshape(-1, 2, 2)
        vectors, total = np.tile([0.6, 0.8], (100, 1)), 0.0
        for step in chosen:
            vectors = np.einsum("nij,nj->ni", linear[step], vectors)
            length = np.maximum(np.linalg.norm(vectors, axis=1), 1e-300)
            vectors, total = vectors / length[:, None], total + float(np.log(length).mean())
        return total / len(chosen)

    def points(self, count: int, generator: np.random.Generator) -> Array:
        """Points (count, 2) of the attractor, or of what is finite of it.

        Many short chains instead of one long: after the first steps they have the same distribution.
        """
        chains = min(CHAINS, count)
        steps = -(-count // chains)
        chosen = generator.choice(len(self.maps), size=(BURN_IN + steps, chains), p=self.probabilities)
        a, b, c, d, e, f = self.maps.T
        x, y = np.zeros(chains), np.zeros(chains)
        found = np.empty((steps, chains, 2))
        with np.errstate(over="ignore", invalid="ignore"):
            for number, step in enumerate(chosen):
                x, y = a[step] * x + b[step] * y + e[step], c[step] * x + d[step] * y + f[step]
                if number >= BURN_IN:
                    found[number - BURN_IN, :, 0], found[number - BURN_IN, :, 1] = x, y
        flat = found.reshape(-1, 2)[:count]
        return np.asarray(flat[np.isfinite(flat).all(1)], np.float64)


def search(seed: int, category: int, fill: float = 0.2) -> System:
    """A category: random systems until one fills a share of a picture of points (512 px, 100,000 points).

    Two to seven maps with a to f uniform in [-1, 1], chosen with probabilities in proportion to |ad - bc|. The result
    depends on seed and category alone.

    Raises:
        UserError: none of very many candidates fills so much.
    """
    generator = numpy_generator(seed, "fractal", category)
    for _ in range(_MOST_CANDIDATES):
        maps = generator.uniform(-1, 1, (generator.integers(MAPS[0], MAPS[1] + 1), 6))
        areas = np.abs(maps[:, 0] * maps[:, 3] - maps[:, 1] * maps[:, 2])
        system = System(maps, areas / areas.sum())
        if system.exponent() >= 0:
            continue
        rough = system.points(10_000, generator)  # a tenth of the points rules most candidates out
        if len(rough) < 10_000 or np.ptp(rough, axis=0).max() > _FAR or filled(rough) < fill / 8:
            continue
        if filled(system.points(SEARCH_POINTS, generator)) >= fill:
            return system
    raise UserError(f"fill: no system of {_MOST_CANDIDATES:,} fills {fill:g} of its picture; ask for less")


def filled(points: Array) -> float:
    """Share of the pixels of a picture of points that are not black."""
    return float((draw_points(points, SEARCH_PX) > 0).mean())
