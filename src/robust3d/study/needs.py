"""Which published data a study needs and whether it is where the configuration says; looked at before anything runs."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from robust3d.data.dtd import texture_folder
from robust3d.data.published.inventory import root_folder
from robust3d.errors import UserError
from robust3d.study.on_disk import weights_file
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


def _weights(job: Job) -> Path | None:
    """The weights on disk that a training starts from."""
    return weights_file(job.params.get("weights") or job.params.get("params"))


def data_folders(jobs: Iterable[Job]) -> dict[str, str | None]:
    """The folders of published data that the jobs read, and what is wrong with each; None: it is there."""
    found: dict[str, str | None] = {}
    for job in made_from(jobs):
        found |= data_of(job)
    return found


def data_of(job: Job) -> dict[str, str | None]:
    """The same of one job, which reads one folder or file of published data or none."""
    try:
        if job.stage == "inventory":
            path = job.params["source"].path
            root_folder(path, job.params["kind"])
        elif job.stage == "make_textures" and job.params["textures"].path is not None:
            path = job.params["textures"].path
            texture_folder(Path(path))
        elif (weights := _weights(job)) is not None:
            path = str(weights)
            if not weights.is_file():
                raise UserError(
                    f"{job.label}: no file {path}; get torchvision's ResNet18_Weights.IMAGENET1K_V1 "
                    "(resources/README.md), or remove the pre-training that needs it"
                )
        else:
            return {}
    except UserError as error:
        return {path: f"families.{job.label}.shapes.{error}" if job.stage == "inventory" else str(error)}
    return {path: None}
