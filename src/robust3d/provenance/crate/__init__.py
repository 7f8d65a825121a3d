"""Exports one table, figure or other result as a Workflow Run RO-Crate, with every job that it depends on.

The crate conforms to Process, Workflow and Provenance Run Crate 0.5 and to Workflow RO-Crate 1.0, which build on
RO-Crate 1.1: Snakefile = workflow, rule = step, stage module = tool, job = action. All of it is read from the
records. Small files are copied in and must be what their record says; the others are named by their hash.
"""

import shutil
from pathlib import Path

from robust3d.errors import UserError
from robust3d.files import partial
from robust3d.provenance.crate.description import LOCK, Description
from robust3d.provenance.crate.files import Crate
from robust3d.provenance.lineage import Lineage


def export_crate(target: str, folder: Path, with_data: bool) -> None:
    """Write the crate of a result, whole or not at all.

    Args:
        target: a file that a job made, `results/table4.csv`, say.
        folder: where; must not exist or be empty.
        with_data: copy the big files of our own making too.

    Raises:
        UserError: unknown target, folder in use, or a file that is not what its record says.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: there is something already; name a new or an empty folder")
    for needed in ("Snakefile", LOCK):
        if not Path(needed).is_file():
            raise UserError(f"{needed}: not found; run from the project's root")
    lineage = Lineage()
    step = lineage.target(target)
    target = lineage.recorded(target) or target
    if target not in {step.name, *(file.path for file in step.outputs.values())}:
        made = ", ".join(file.path for file in step.outputs.values())
        raise UserError(f"{target}: no job made this file; {step.job} made {made}")

    crate = Crate(lineage, with_data)
    jobs = Description(crate, lineage).describe(target, step)
    temporary = partial(folder)
    try:
        temporary.mkdir(parents=True)
        crate.write(temporary)
        temporary.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f"wrote {folder}: {jobs} jobs, {crate.summary()}")
