"""Whether a classifier decides for the shape or for the texture of images whose two cues speak for different classes.

The set's table has the columns `shape` and `texture`, each with the name of a class (Shape bias section 3.1, Table 2).
Images whose cues name the same class are left out of all shares, as 80 of the 1,280 published ones are.
"""

from typing import TYPE_CHECKING

from robust3d.data.cues import AnswerParams

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

ANY_CLASSES = True  # cues are compared by their names


class Params(AnswerParams):
    """What counts as an answer."""


def probe(params: Params, subject: "Subject") -> "Findings":
    """The decision on every image with two cues.

    Returns:
        In the metrics numbers and shares of the decisions: of all images, and of those with the shape, and with the
        texture, of each class; and how many images with one cue were left out, and how many of them were right. In
        the outcomes a row for each image with two: the classes that its `shape` and its `texture` speak for, the
        class that is the `answer`, and the `decision`: shape, texture or neither.

    Raises:
        UserError: the set does not say shape and texture, or has no image to go by.
    """
    import numpy as np  # planning imports this module and needs none of these
    import pandas as pd
    import torch

    from robust3d.data.cues import answers_of, cues, decisions, shares
    from robust3d.probes import Findings

    images, (classes, decide) = subject.images("set"), answers_of(params, subject.classes)
    shape, texture = cues(images, classes, "cue_conflict")
    batches = [decide(subject.logits(batch)).cpu() for batch, _ in images.batches(params.batch_size)]
    answers, names = torch.cat(batches).numpy(), np.array(classes, object)
    table = pd.DataFrame({"images": "set", "image": range(len(images)), "shape": names[shape]})
    table = table.assign(texture=names[texture], answer=names[answers], decision=decisions(answers, shape, texture))
    same, outcomes = table[shape == texture], table[shape != texture].reset_index(drop=True)
    metrics = {
        "answers": params.answers,
        "aggregation": params.aggregation if params.answers == "imagenet16" else None,
        "images": len(images),
        "same_cue": {"images": len(same), "correct": int((same["answer"] == same["shape"]).sum())},
        **shares(outcomes["decision"].tolist()),
    }
    for cue in ("shape", "texture"):
        of_class = {name: outcomes.loc[outcomes[cue] == name, "decision"] for name in classes}
        metrics[f"by_{cue}"] = {name: shares(found.tolist()) for name, found in of_class.items() if len(found)}
    return Findings(metrics, outcomes)
