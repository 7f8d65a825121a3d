"""Compares data on the user's disk with what was read: names, sizes and times of files, and bytes.

Every file that the checksums of a step name is hashed again. A folder that is missing on this machine is reported, but
is not a fault.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from robust3d import registry
from robust3d.architectures import ArchitectureParams, weights_file
from robust3d.data.params import TextureParams
from robust3d.errors import UserError
from robust3d.files import cause, sha256
from robust3d.parsing import parse
from robust3d.provenance.lineage import Lineage, Step

_READERS = 8  # files at once: many small ones on a network file system wait for it, not for a processor
State = Literal["OK", "CHANGED", "MISSING", "UNREADABLE", "UNRECORDED", "STALE"]
Checked = tuple[State, str, str]  # state, path, detail


def check_sources(step: Step, lineage: Lineage) -> Iterator[Checked]:
    """What is another on disk than when the step ran, if it read data that others published.

    Yields:
        State as in `robust3d.provenance.verify`, path, detail; "OK" for every file with the same bytes.
    """
    root = _root(step.params)
    if root is None:
        return
    if not root.exists():
        yield "OK", str(root), f"not on this machine, so what {step.name} read there is not compared"
    elif "sources" in step.outputs:
        yield from _bytes(step, root, lineage.locate(step.outputs["sources"].path))
    elif "weights_sha256" in step.params:
        yield _compared(root, step.params["weights_sha256"], step)
    if root.exists() and "data_on_disk" in step.params:
        yield from _listing(step, root, lineage)


def _root(params: dict[str, Any]) -> Path | None:
    """The folder of the published data that a step read, or the file of weights."""
    if "weights_sha256" in params:
        named = (params.get("weights") or params["params"])["weights"]
        return Path(named) if named else _of_package(params["architecture"])
    for source in (
        params.get("source"),
        params.get("textures"),
        params.get("set") if "data_on_disk" in params else None,
    ):
        if isinstance(source, dict) and source.get("path"):
            return Path(source["path"])
    return None


def _of_package(architecture: Any) -> Path:
    """A package's file of weights for an architecture; a path that is not there if it is not installed."""
    found = parse(ArchitectureParams, architecture)
    try:
        return weights_file(None, found)
    except UserError:
        return Path(f"weights of {found.name}")


def _bytes(step: Step, root: Path, checksums: Path) -> Iterator[Checked]:
    try:
        lines = checksums.read_text(encoding="utf-8", errors="surrogateescape").split("\n")[:-1]
    except OSError:
        return  # reported as the step's missing output
    parts = [line.partition("  ") for line in lines if not line.startswith("#")]
    pairs = [(root / name, digest) for digest, _, name in parts]
    with ThreadPoolExecutor(_READERS) as pool:
        yield from pool.map(lambda pair: _compared(pair[0], pair[1], step), pairs)


def _compared(path: Path, wanted: str, step: Step) -> Checked:
    try:
        same = sha256(path) == wanted
    except FileNotFoundError:
        return "MISSING", str(path), f"read by {step.name}"
    except OSError as error:
        return "UNREADABLE", str(path), f"cannot be read ({cause(error)})"
    return ("OK", str(path), "") if same else ("CHANGED", str(path), f"other bytes than {step.name} read")


def _listing(step: Step, root: Path, lineage: Lineage) -> Iterator[Checked]:
    """Whether names, sizes and times are still those that the step was planned for."""
    try:
        if step.stage == "inventory":
            text = "; ".join(_inventory_differences(step, lineage))
        elif "set" in step.params:
            module = registry.load("set", step.params["set"]["kind"])
            same = module.identity(parse(module.Params, step.params["set"])) == step.params["data_on_disk"]
            text = "" if same else "other pictures, or of other sizes or times"
        else:
            from robust3d.data.dtd import files_identity

            identity = files_identity(parse(TextureParams, step.params["textures"]), step.params["seed"])
            same = identity == step.params["data_on_disk"]
            text = "" if same else "other pictures, or of other sizes or times"
    except (UserError, ValueError, OSError) as error:
        text = str(error).removeprefix(f"{root}: ")
    if text:
        yield "STALE", str(root), f"since {step.name}: {text}"


def _inventory_differences(step: Step, lineage: Lineage) -> list[str]:
    from robust3d.data.published.identity import differences, take
    from robust3d.data.published.members import read_inventory

    family = registry.load("family", step.params["kind"])
    now = take(family, parse(family.Params, step.params["source"]))
    if now.identity == step.params["data_on_disk"]:
        return []
    then = read_inventory(lineage.locate(step.outputs["inventory"].path))
    return differences(then, now) or ["a different split into training and test data"]
