"""A linear classifier on frozen features, many learning rates side by side (the linear probe of DINOv2).

The encoder is never trained. Features of all images are computed once, in eval mode, and kept in memory. The head of
the learning rate that is best on the validation images becomes the classifier's, so every probe and attack runs on it.
"""

from typing import TYPE_CHECKING

from robust3d.trainings.linear.params import Params

if TYPE_CHECKING:
    from robust3d.data.images import ImageData
    from robust3d.models.classifier import Classifier
    from robust3d.training.loop import Task

__all__ = ["Params", "make_task"]


def make_task(
    classifier: "Classifier",
    images: "ImageData",
    held_out: "ImageData",
    params: Params,
) -> "Task":
    """The task, which trains the head of `classifier` only.

    Raises:
        UserError: a class has fewer images than `labels_per_class`.
    """
    from robust3d.trainings.linear.task import LinearProbe, MultiLabelProbe

    kind = LinearProbe if images.shown is None else MultiLabelProbe
    return kind(classifier, images, held_out, params)
