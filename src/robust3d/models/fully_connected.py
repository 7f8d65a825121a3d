"""Width of the fully connected layers that torchvision's older networks have after their convolutions."""

from typing import cast

from torch import nn


def set_hidden(classifier: nn.Sequential, hidden: int) -> None:
    """Give the layers another width, with weights that are drawn anew.

    Args:
        classifier: its linear layers are replaced, in their order.
        hidden: width of all but the last one's output.
    """
    places = [place for place, layer in enumerate(classifier) if isinstance(layer, nn.Linear)]
    for place in places:
        layer = cast(nn.Linear, classifier[place])
        inputs = layer.in_features if place == places[0] else hidden
        classifier[place] = nn.Linear(inputs, layer.out_features if place == places[-1] else hidden)
