"""Which published data a study needs and whether they exist; checked before anything runs."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from robust3d import registry
from robust3d.architectures import weights_file
from robust3d.data.dtd import texture_folder
from robust3d.data.published.inventory import root_folder
from robust3d.data.published.pictures import source_of
from robust3d.errors import UserError
from robust3d.parsing import parse
from robust3d.study.jobs import Job


def made_from(jobs: Iterable[Job]) -> Iterator[Job]:
    """The jobs and all jobs that they depend on, each once."""
    seen: set[int] = set()
    pending = list(jobs)
    while pending:
        job = pending.pop()
        if id(job) in seen:
            continue
        seen.add(id(job))
        yield job
        pending += [other for files in (*job.inputs.values(), *job.bulk.values()) for other, _ in files]


def data_folders(jobs: Iterable[Job]) -> dict[str, str | None]:
    """The folders of published data that the jobs read, and the problem with each; None: it exists."""
    found: dict[str, str | None] = {}
    for job in made_from(jobs):
        found |= data_of(job)
    return found


def data_of(job: Job) -> dict[str, str | None]:
    """The same for one job, which reads at most one folder or file of published data."""
    try:
        if job.stage == "inventory":
            path = job.params["source"].path
            root_folder(path, job.params["kind"])
        elif job.stage == "make_textures" and job.params["textures"].path is not None:
            path = job.params["textures"].path
            texture_folder(Path(path))
        elif job.stage == "draw_set" and "data_on_disk" in job.params:
            module = registry.load("set", job.params["set"]["kind"])
            params = parse(module.Params, job.params["set"])
            path = params.path
            if job.params["data_on_disk"] is None:  # not found while planning; find out why
                _look(module, params)
        elif job.stage == "import_encoder":
            architecture, named = job.params["architecture"], job.params["params"].weights
            path = str(named or f"weights of {architecture.name}")
            if not weights_file(named, architecture).is_file():
                published = architecture.weights
                what = published.name if published else f"weights of {architecture.name}"
                what += f" from {published.url}" if published and published.url else ""
                raise UserError(
                    f"{job.label}: no file {path}; get {what} (resources/README.md), or remove the pre-training that "
                    "needs it"
                )
        elif job.stage == "probe" and getattr(job.params["params"], "assembly", None) is not None:
            path = str(job.params["params"].assembly)
            if not Path(path).is_file():
                raise UserError(f"{job.label}: no file {path}{_where_from(path)}")
        else:
            return {}
    except UserError as error:
        names_key = re.match(r"[a-z_.]+: ", str(error))  # as `path: no folder …`, not a file
        return {path: f"{job.key}{'.' if names_key else ': '}{error}" if job.key else str(error)}
    return {path: None}


def _look(module: Any, params: Any) -> None:
    """Say why pictures are not there, and where they come from if they are published."""
    try:
        module.identity(params)
    except UserError as error:
        maps = getattr(getattr(params, "depth", None), "path", None)
        missing = maps if maps is not None and Path(params.path).is_dir() else params.path
        raise UserError(f"{error}{_where_from(missing)}") from None


def _where_from(path: str | Path) -> str:
    source = source_of(path)
    return f"; {source.advice()}" if source else ""
