"""Responses that are made here, whose truth is known: for tests, and for studies without recordings."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from robust3d.brain.assembly import Assembly, assembled
from robust3d.brain.pls import checked
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator

Array = npt.NDArray[np.float64]


def synthetic_assembly(
    sources: Mapping[str, npt.ArrayLike],
    stimuli: Sequence[str],
    groups: Sequence[str],
    sites: int,
    repetitions: int,
    reliability: float,
    seed: int,
    animals: int = 2,
) -> Assembly:
    """Sites that mix the columns of a source at random, with noise of known size.

    A site's signal is a random mixture of its region's source, scaled to variance 1 over the images; a trial adds
    Gaussian noise of variance R (1 - rho) / rho. So the mean of R repetitions has the reliability rho, and the best
    model the correlation sqrt(rho).

    Args:
        sources: for each region what its sites mix, (images, columns).
        stimuli: ids of the images.
        groups: of the images.
        sites: of each region and animal.
        repetitions: R.
        reliability: rho of the mean, in (0, 1].
        seed: of mixtures and noise; those of a region depend on its name, not on the other regions.
        animals: how many.

    Raises:
        UserError: a source that is constant, or a reliability outside (0, 1].
    """
    if not 0 < reliability <= 1:
        raise UserError(f"reliability: {reliability}; it lies above 0 and is at most 1")
    signals, labels = [], []
    for region, values in sources.items():
        source = checked(values, f"source of {region}")
        for animal in range(animals):
            generator = numpy_generator(seed, "mixture", region, animal)
            mixed = (source - source.mean(0)) @ generator.standard_normal((source.shape[1], sites))
            if (spread := mixed.std(0)).min() == 0:
                raise UserError(f"source of {region}: constant over the images; choose images that differ")
            signals.append(mixed / spread)
            labels += [(f"{region}-{animal}-{number}", region, f"animal {animal}") for number in range(sites)]
    signal = np.concatenate(signals, 1)
    noise = numpy_generator(seed, "noise").standard_normal((repetitions, *signal.shape))
    trials = signal + np.sqrt(repetitions * (1 - reliability) / reliability) * noise
    names, regions, subjects = zip(*labels, strict=True)
    return assembled(
        "synthetic responses",
        trials.reshape(-1, signal.shape[1]),
        list(stimuli) * repetitions,
        list(groups) * repetitions,
        names,
        regions,
        subjects,
    )


def edges_and_classes(images: npt.NDArray[np.uint8], classes: Sequence[str], seed: int) -> dict[str, Array]:
    """Sources for two stand-in regions: of "V4" oriented edges at places, of "IT" which class it is, wherever.

    V4: absolute differences of grey values to the right, down and along both diagonals, at two scales, averaged over a
    grid of 4 x 4 places. IT: a random vector of each class. A network that keeps places and edges predicts the first,
    one that tells classes apart the second; by construction no more is known of either.

    Args:
        images: (n, 3, H, W), of 16 px or more.
        classes: of each image.
        seed: of the classes' vectors.
    """
    grey = images.astype(np.float64).mean(1) / 255
    if min(grey.shape[1:]) < 16:
        raise UserError(f"images of {grey.shape[1]} px: edges at two scales need 16 px or more")
    columns = []
    for scale in (1, 2):
        side = grey.shape[1] // scale
        coarse = grey[:, : side * scale, : side * scale].reshape(len(grey), side, scale, side, scale).mean((2, 4))
        inner = coarse[:, :-1, :-1]
        turned = coarse[:, 1:, :-1] - coarse[:, :-1, 1:]
        for edges in (coarse[:, :-1, 1:] - inner, coarse[:, 1:, :-1] - inner, coarse[:, 1:, 1:] - inner, turned):
            places = np.array_split(np.arange(side - 1), 4)
            energy = np.abs(edges)
            columns += [energy[:, rows][:, :, cells].mean((1, 2)) for rows in places for cells in places]
    vectors = {name: numpy_generator(seed, "class", name).standard_normal(16) for name in sorted(set(classes))}
    return {"V4": np.stack(columns, 1), "IT": np.stack([vectors[name] for name in classes])}
