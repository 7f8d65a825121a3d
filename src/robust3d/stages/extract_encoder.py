"""Extracts the encoder from a pre-trained model and records which of its tensors were trained."""

import json
from typing import TYPE_CHECKING

from robust3d.files import sha256
from robust3d.models.files import load_state, save_state
from robust3d.training.transfer import FACTS, extract_encoder

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `encoder`, the weights of its architecture without the head, and its `info`."""
    info = json.loads(job.input("model_info").read_text())
    state = load_state(job.input("model"))
    prefix = f"module/{info['encoder']}."
    before = {name.removeprefix("initial/"): value for name, value in state.items() if name.startswith("initial/")}
    after = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    encoder, description = extract_encoder(before, after, **{name: info[name] for name in FACTS})
    save_state(encoder, job.outputs["encoder"])
    job.write_json("info", {"sha256": sha256(job.outputs["encoder"]), **description})
