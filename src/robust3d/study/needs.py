"""Which published data a study needs, and whether it lies where the configuration says: looked at before anything runs."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from robust3d.data.dtd import texture_folder
from robust3d.data.params import TextureParams
from robust3d.data.published.inventory import root_folder
from robust3d.errors import UserError
from robust3d.study.plan import Job


def made_from(jobs: Iterable[Job]) -> Iterator[Job]:
    """The jobs and all that they are made from, each once."""
    seen: set[int] = set()
    pending = list(jobs)
    while pending:
        job = pending.pop()
        if id(job) in seen:
            continue
        seen.add(id(job))
        yield job
        pending += [other for files in (*job.inputs.values(), *job.bulk.values()) for other, _ in files]


def data_folders(jobs: Iterable[Job]) -> dict[str, UserError | None]:
    """The folders of published data that the jobs read, and what is wrong with each; None: it is there."""
    found: dict[str, UserError | None] = {}
    for job in made_from(jobs):
        if job.stage == "inventory":
            kind, path = job.params["kind"], job.params["source"].path
            found[str(path)] = _wrong(lambda path=path, kind=kind: root_folder(path, kind))
        elif job.stage == "make_textures" and job.params["textures"].source == "dtd":
            params: TextureParams = job.params["textures"]
            found[str(params.path)] = _wrong(lambda params=params: texture_folder(Path(params.path or "")))
    return found


def _wrong(look: object) -> UserError | None:
    try:
        look()  # type: ignore[operator]
    except UserError as error:
        return error
    return None
