"""Parameters of the judgement of generated volumes, and of features by a linear classifier; imports no torch."""

from typing import Literal

from pydantic import Field

from robust3d.params import Params

ALL, CATEGORIES = "all classes", "categories"  # over which classes a set is judged: keys of the metrics


class JudgeParams(Params):
    """How many samples what is computed from."""

    splits: int = Field(10, ge=1)  # of the Inception score; as stated
    # Most samples of a category that FID, KID, coverage, 1-NNA and the memorisation test take: the same number of every
    # row, for all of these depend on it, so no more than the smallest has. Test volumes of a category are a row too.
    distance_samples: int = Field(40, ge=2)
    control_samples: int = Field(40, ge=2)  # volumes of noise of each class
    noise_threshold: float = 0.5  # above which noise of N(0, 1), from which a synthesis starts, fills a voxel


class SvmParams(Params):
    """A linear classifier on the last convolution's activations."""

    penalty: float = Field(0.5, gt=0)  # C; as stated, with an L2 penalty and one-versus-all
    # Of "the final convolution layer": the map itself, or after its pool, as the network's last layer sees it.
    features: Literal["map", "pooled"] = "map"
