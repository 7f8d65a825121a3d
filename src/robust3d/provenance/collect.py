"""Lists, or frees, what no current target needs: finished jobs of other studies, of other code, leftovers."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from robust3d.errors import UserError
from robust3d.provenance.lineage import RESULTS
from robust3d.provenance.owner import alive, become_head
from robust3d.provenance.store import HEAD, PROGRESS, forget
from robust3d.study.config import Study
from robust3d.study.plan import Plan
from robust3d.study.stages import STAGES


def collect(kept: Mapping[str, Study], delete: bool) -> str:
    """List what some studies do not need, or delete it.

    Args:
        kept: studies whose artifacts stay, each by the name that is printed for it.
        delete: free the space; else only say what could be freed.

    Raises:
        UserError: no results; or something is to be deleted while a snakemake is at work, which may need it.
    """
    if not RESULTS.is_dir():
        raise UserError(f"{RESULTS}: no such folder; run from the project's root")
    if delete:
        become_head(HEAD, "room (robust3d gc --delete)")
    needed = {Path(job.output("record")).parent for study in kept.values() for job in Plan(study).every_job()}
    folders = [path for stage in STAGES for path in sorted((RESULTS / stage).glob("*")) if path not in needed]
    leftovers = [path for path in sorted(RESULTS.glob("*/*/.partial-*")) if path.parent in needed and not _alive(path)]
    leftovers = [path for path in leftovers if not alive(PROGRESS / path.parent.name)]  # on another node
    abandoned = [path for path in sorted(PROGRESS.glob("*")) if not alive(path)]
    abandoned = [path for path in abandoned if path.name not in {folder.name for folder in needed}]
    running = [path.name for path in folders if alive(PROGRESS / path.name)]
    folders = [path for path in folders if path.name not in running]
    found = [*folders, *leftovers, *abandoned]
    lines = [f"{_bytes(_size(path)):>9}  {path}" for path in found]
    lines += [f"{'running':>9}  {name} (left alone)" for name in running]
    total = _bytes(sum(_size(path) for path in found))
    if delete:
        for path in found:
            _delete(path)
        forget(RESULTS)
    verb = "freed" if delete else "can be deleted with --delete"
    studies = ", ".join(kept)
    return "\n".join([*lines, f"{total} in {len(found)} places {verb}; kept: what these studies need: {studies}"])


def _alive(partial: Path) -> bool:
    """Whether the process that writes a partial file still lives, as far as this machine knows."""
    try:
        os.kill(int(partial.name.split("-")[1]), 0)
    except (ProcessLookupError, ValueError, IndexError):
        return False
    except PermissionError:
        pass
    return True


def _delete(path: Path) -> None:
    """The record goes first, so that nothing half deleted counts as finished."""
    if path.is_dir():
        (path / "record.json").unlink(missing_ok=True)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
