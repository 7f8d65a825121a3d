"""Opens a network that was trained on voxels."""

import json
from pathlib import Path
from typing import Any

from robust3d.models.files import load_state
from robust3d.models.introspective.network import IntrospectiveNetwork, VoxelClassifier
from robust3d.models.introspective.params import NetworkParams
from robust3d.parsing import parse


def load_voxel_classifier(weights: Path, info: Path) -> tuple[VoxelClassifier, dict[str, Any]]:
    """A trained classifier in eval mode, and its facts."""
    facts = json.loads(info.read_text())
    training, state = facts["training"], load_state(weights)
    network = IntrospectiveNetwork(
        parse(NetworkParams, training["network"]), len(facts["classes"]) if training["supervised"] else 1
    )
    classifier = VoxelClassifier(network, state["mean"])
    classifier.load_state_dict(state)
    return classifier.eval().requires_grad_(False), facts
