"""The features of every image, which tables compare: invariances, and how alike networks are.

Features are what enters the classifier's last layer. Further sets show the same objects otherwise.
"""

from typing import TYPE_CHECKING

from pydantic import Field

from robust3d.params import Params as Base

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

ANY_CLASSES = True
OPTIONAL_SETS = "any"


class Params(Base):
    """Batch size."""

    batch_size: int = Field(250, ge=1)  # images per forward pass; changes speed and memory only


def probe(params: Params, subject: "Subject") -> "Findings":
    """A row for each image, with a column for each feature: `feature0000` and so on, float32."""
    import pandas as pd  # planning imports this module and needs none of these
    import torch

    from robust3d.probes import Findings
    from robust3d.training.features import frozen_features

    frames, widths = [], {}
    for name in subject.sets:
        images = subject.images(name)
        places = torch.arange(len(images))
        values = frozen_features(subject.model, images, places, batch=params.batch_size).cpu().numpy()
        widths[name] = values.shape[1]
        frame = pd.DataFrame(values, columns=[f"feature{number:04d}" for number in range(values.shape[1])])
        frame.insert(0, "image", range(len(frame)))
        frame.insert(0, "images", name)
        frames.append(frame)
    return Findings({"features": widths["set"]}, pd.concat(frames, ignore_index=True))
