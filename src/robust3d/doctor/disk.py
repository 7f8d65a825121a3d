"""Folders: may we write, is there room, are renames whole, do locks hold?"""

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from robust3d.doctor.findings import Finding, not_checked, ok, problem, warning
from robust3d.provenance.store import trouble
from robust3d.study.config import Study
from robust3d.study.plan import Plan
from robust3d.study.stages import STAGES

BYTES_A_PIXEL = 1.0  # of a stored view; 0.4 (geons) to 1.0 (chairs) were measured at 32 px, larger images pack better
BYTES_A_VIEW = 600  # camera, box and index
BYTES_A_PRETRAINING = 250_000_000  # an encoder with decoder, its optimiser and two checkpoints
BYTES_A_NETWORK = 100_000_000  # an encoder or classifier; ResNet-18 has 43, ResNet-50 95
SCRATCH_BYTES = 1_000_000_000
RESULTS = Path("results")
TRY_LOCK = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"


def bytes_to_make(study: Study, plan: Plan) -> int:
    """An estimate of what all tables and figures will still write to results/; families from disk apart."""
    total = 0.0
    for name, family in study.families.items():
        for job in plan.shards(name):
            if not Path(job.output("views")).exists():
                views = len(job.params.get("instances") or ()) * family.views
                total += views * (BYTES_A_VIEW + BYTES_A_PIXEL * family.resolution_px**2)
    for job in plan.jobs.values():
        keeps_model = {"model", "encoder", "classifier", "reference"} & set(STAGES[job.stage].outputs)
        if keeps_model and not Path(job.output("record")).exists():
            total += BYTES_A_PRETRAINING if job.stage == "pretrain" else BYTES_A_NETWORK
    return int(total)


def free_bytes(folder: Path) -> int:
    """What the file system has left for us; a quota may leave less."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def gigabytes(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e9:.1f} GB"


def existing(folder: Path) -> Path:
    """The folder, or what its nearest parent is that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder


def check_folders(study: Study, plan: Plan | None) -> Iterator[Finding]:
    """results/, the store and the scratch folder."""
    needed = bytes_to_make(study, plan) if plan is not None else None
    yield from check_folder("results/", RESULTS, needed, "link results/ to a file system with more room")
    yield from check_locks(RESULTS)
    if study.store:
        yield from check_store(Path(study.store), needed)
    yield from check_folder("TMPDIR", Path(tempfile.gettempdir()), SCRATCH_BYTES, "set TMPDIR to a folder with room")


def check_store(store: Path, needed: int | None) -> Iterator[Finding]:
    """A store is optional: jobs also succeed without it, or if it is full."""
    complaint = trouble(store)
    if complaint:
        yield warning("store", f"{complaint}; jobs run without", "ask its owner for access, or name another `store:`")
        return
    shares = _device(store) == _device(RESULTS)
    room = needed * 2 if needed is not None and shares else needed  # a file system without reflinks copies
    for found in check_folder("store", store, room, "give `store:` a folder with room, or run robust3d gc"):
        yield dataclasses.replace(found, state="WARNING") if found.state == "PROBLEM" else found


def _device(folder: Path) -> int:
    return existing(folder).stat().st_dev


def check_folder(check: str, folder: Path, needed: int | None, mend: str) -> Iterator[Finding]:
    """Write access and room."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        text = f"{folder.absolute()} cannot be written: {error.strerror or error}"
        yield problem(check, text, "give yourself write access, or use another folder")
        return
    free = free_bytes(folder)
    if needed is None:
        yield not_checked(check, f"{gigabytes(free)} free; the need is unknown without a plan")
    elif free < needed:
        yield problem(check, f"{gigabytes(free)} free in {folder.absolute()}, about {gigabytes(needed)} needed", mend)
    else:
        yield ok(check, f"writable, {gigabytes(free)} free (quotas not seen), about {gigabytes(needed)} needed")


def check_locks(folder: Path) -> Iterator[Finding]:
    """Files appear whole by renaming, and a lock keeps two jobs from making the same files."""
    check = f"renames and locks in {folder}/"
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as name:
            old, new = Path(name, "old"), Path(name, "new")
            old.write_text("old")
            new.write_text("new")
            os.replace(new, old)
            renamed = old.read_text() == "new" and not new.exists()
            held = holds_lock(old)
    except OSError as error:
        yield problem(check, f"{folder.absolute()}: {error}", "use a file system that can lock: mount NFS with locks")
        return
    if not renamed:
        yield problem(check, "a rename did not replace the existing file", "use another file system for results/")
    elif not held:
        text = f"two processes hold the same lock in {folder.absolute()}"
        yield problem(check, text, "mount it with locks (NFS: not `nolock`; Lustre: `-o flock`), or use another folder")
    else:
        yield ok(check, "a rename replaces at once, a lock keeps a second process out")


def holds_lock(path: Path) -> bool:
    """Whether a lock that this process takes keeps another process of this machine out.

    Raises:
        OSError: the file system has no locks.
    """
    import fcntl

    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other = subprocess.run([sys.executable, "-c", TRY_LOCK, str(path)], capture_output=True)
        return other.returncode != 0
