"""Depth from frozen features: a linear head and one like DPT's, on the tokens of a classifier's trunk.

The protocol is DINOv2's where it fits: the trunk is frozen, each head gives scores of depth bins, depth is their mean,
and the loss is scale-invariant in the logarithm. Left out are its loss on gradients, flips and sliding windows. Heads
are trained on the set's training images, whose features are computed once, and tested on its test images, both on
pixels that show the object. Depth is the camera's z in units of the renders or maps; beside it, the mean training
depth.
"""

from typing import TYPE_CHECKING

from robust3d.probes.depth.params import Params

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

__all__ = ["Params", "probe"]
ANY_CLASSES = True  # the trunk is asked, not the answers


def probe(params: Params, subject: "Subject") -> "Findings":
    """The errors of each test image, and their means.

    Raises:
        UserError: the set has no depth, or the architecture no tokens.
    """
    import pandas as pd  # planning imports this module and needs none of these

    from robust3d.probes import Findings
    from robust3d.probes.depth.task import fit, read, scores

    images, train = subject.images("set"), subject.training_images("set")
    seen = read(subject, train, params.images)
    head, mean_depth, loss = fit(params, seen, subject.device)
    tested = read(subject, images)
    frame = pd.DataFrame({"images": "set", "image": range(len(images)), **scores(head, tested)})
    beside = pd.DataFrame(scores(lambda features: features.new_full((len(features), 1, 1, 1), mean_depth), tested))
    frame = frame.assign(**{f"mean_depth_{name}": beside[name] for name in beside})
    means = {str(name): float(frame[name].mean()) for name in frame if name not in ("images", "image")}
    facts = {"training_images": len(seen.features), "training_loss": loss, "mean_depth": mean_depth}
    return Findings({"images": len(frame), **means, **facts}, frame)
