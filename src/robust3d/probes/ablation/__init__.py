"""Which channels shape and texture decisions rest on: each channel is zeroed, one at a time (Shape bias section 3.4).

The set's images show two cues that speak for different classes: its table has the columns `shape` and `texture`, each
with the name of a class, or its pictures are called like the published ones, `cat7-bear1.png`. A channel's shape score
is the number of images that the intact network gives the class of their shape and, with the channel zeroed, another
one; its texture score counts likewise.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from robust3d.data.cues import AnswerParams

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from robust3d.probes import Findings, Subject

ANY_CLASSES = True


class Params(AnswerParams):
    """Which channels."""

    layers: tuple[str, ...] = ()  # names of the architecture's layers; none: all that give maps


def probe(params: Params, subject: "Subject") -> "Findings":
    """Shape and texture score of each channel; the answer is the class of the largest logit, or one of the sixteen."""
    from robust3d.data.cues import answers_of

    return ablation(params, subject, *answers_of(params, subject.classes))


def ablation(
    params: Params, subject: "Subject", classes: tuple[str, ...], decide: Callable[["Tensor"], "Tensor"]
) -> "Findings":
    """The same with any rule that makes answers of logits.

    Args:
        params: which channels.
        subject: the classifier and its images.
        classes: names of the answers; the columns `shape` and `texture` use them.
        decide: logits (N, K) to answers (N,), numbers of `classes`.

    Returns:
        In the metrics for each layer the scores of its channels, how often a cue was decided for, and how many images
        were left out because both their cues name one class. In the outcomes an image has a row with an empty `layer`:
        the intact network's answer and the cue that it goes with; and one for each channel without which the answer
        is another.

    Raises:
        UserError: the set does not say shape and texture, or has no image to go by; a layer is not there.
    """
    import numpy as np
    import pandas as pd
    import torch

    from robust3d.data.cues import DECISIONS, SAME_CUE, SHAPE, TEXTURE, cues, decisions
    from robust3d.models.halves import channels_of
    from robust3d.probes import Findings
    from robust3d.probes.ablation.channels import answers, answers_without

    images, model = subject.images("set"), subject.model
    shape, texture = cues(images, classes, "ablation")
    conflict = np.flatnonzero(shape != texture)

    def opened(part: "Tensor") -> "Tensor":
        return images.batch(part).to(subject.device).float() / 255

    def batches(places: "np.ndarray") -> "list[Callable[[], Tensor]]":
        parts = torch.from_numpy(places).split(params.batch_size) if len(places) else ()
        return [partial(opened, part) for part in parts]

    example = model.normalise(opened(torch.tensor([0])))
    layers = channels_of(model.architecture, model.network, example, params.layers, maps=False)
    intact = answers(model, batches(np.arange(len(images))), decide)
    cue = decisions(intact, shape, texture)
    decided = conflict[np.isin(cue[conflict], (SHAPE, TEXTURE))]
    names = np.array(classes, object)
    intact_rows = {"image": range(len(images)), "label": images.labels.cpu().numpy(), "cue": cue}
    frames = [pd.DataFrame({**intact_rows, "layer": "", "channel": -1, "answer": names[intact]})]
    found = {}
    for layer, channels in layers.items():
        before, after, way = answers_without(model, layer, channels, batches(decided), decide)
        lost = after != before
        found[layer] = {
            "shape": lost[:, cue[decided] == "shape"].sum(1).tolist(),
            "texture": lost[:, cue[decided] == "texture"].sum(1).tolist(),
            "way": way,
        }
        channel, place = np.nonzero(lost)
        rows = {"image": decided[place], "label": images.labels.cpu().numpy()[decided[place]]}
        rows |= {"cue": cue[decided[place]], "layer": layer, "channel": channel, "answer": names[after[channel, place]]}
        frames.append(pd.DataFrame(rows))
    counts = {name: int((cue == name).sum()) for name in (*DECISIONS, SAME_CUE)}
    outcomes = pd.concat(frames, ignore_index=True)
    outcomes.insert(0, "images", "set")
    return Findings({"images": len(images), "decided": counts, "layers": found}, outcomes)
