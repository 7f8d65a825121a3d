"""What Snakemake rules need: a job's files, arguments and cluster resources.

Snakemake's objects are passed as arguments: no module of this package imports Snakemake.
"""

import functools
import gc
import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import robust3d
from robust3d.errors import UserError
from robust3d.provenance.owner import become_head
from robust3d.provenance.published import read_record, read_the_same, wrong
from robust3d.provenance.status import kind, write_asked
from robust3d.provenance.store import HEAD
from robust3d.provenance.store import trouble as store_trouble
from robust3d.study.cluster import Cluster, read_cluster
from robust3d.study.config import Study
from robust3d.study.jobs import Job
from robust3d.study.needs import data_folders, data_of
from robust3d.study.on_disk import OnDisk
from robust3d.study.places import own_file, shipped_file
from robust3d.study.plan import Plan
from robust3d.study.reading import command_line, read_study
from robust3d.study.requests import Request, resources
from robust3d.study.stages import STAGES
from robust3d.study.targets import RESULTS, every_target, no_target, output_paths, published_paths, target_path
from robust3d.study.watchdog import watch_slurm
from robust3d.workflow.planned_jobs import PlannedJob, read_planned, write_planned

Function = TypeVar("Function", bound=Callable[..., Any])
_COLLECT_AFTER = 200_000  # new objects; planning creates many, all of which stay alive


def without_rate_limit(workflow: Any) -> None:
    """Let Snakemake look for jobs to start when one has ended, unless the user gives a `--max-jobs-per-timespan`.

    By default it starts at most 100 a second. For that every job that ends starts a timer that looks at all ready jobs
    each second and starts the next timer (version 9.20), so after hundreds of jobs the head takes much of a core.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit is not None and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def refuse(message: str) -> NoReturn:
    """End with a plain message, also with `--quiet all`: Snakemake shows exceptions with its own code, or not."""
    print(message, file=sys.stderr, flush=True)
    sys.exit(1)


def for_wildcards(function: Function) -> Function:
    """Cache a function's signature: Snakemake inspects it about twenty times per job."""
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


def load(workflow: Any, given: dict[str, Any]) -> Study:
    """The study as `robust3d` reads it: a `configfile:` would merge in another way, and read numbers as text.

    Raises:
        UserError: the configuration is wrong.
    """
    settings, is_module = workflow.config_settings, workflow.modifier.skip_configfile
    # Where this workflow is used as a module, config.yaml in the folder belongs to the other workflow.
    default = shipped_file("config.yaml") if is_module else own_file("config.yaml")
    workflow.configfiles.append(str(default))  # for Snakemake's reports and archives
    if settings.replace_workflow_config:
        raise UserError("--replace-workflow-config: overlays lie over config.yaml here; edit that or a copy of it")
    if is_module:  # used as a module, it gets values in place of files
        return read_study([default], given)
    return read_study([default, *settings.configfiles], command_line(settings.config_args))


class Rules:
    """The study of one Snakemake process and its plan; only requested targets are planned.

    Args:
        workflow: Snakemake's.
        given: Snakemake's `config`.
        logger: Snakemake's.
        ancient: Snakemake's; marks an input whose modification time is ignored.

    A wrong configuration, name or folder ends the process with a message.
    """

    def __init__(self, workflow: Any, given: dict[str, Any], logger: Any, ancient: Callable[[Any], Any]) -> None:
        gc.set_threshold(_COLLECT_AFTER, 50, 100)
        self.workflow, self.logger, self.ancient = workflow, logger, ancient
        try:
            self.cluster: Cluster = read_cluster()
            # A process on a node uses the identity of the data that the planning process has read.
            on_disk = None if workflow.is_main_process else OnDisk.from_environment()
            self.plan = Plan(load(workflow, given), on_disk)
            deleting = next((word for word in sys.argv if word.startswith("--delete-")), None)
            if deleting and workflow.is_main_process and not {"-n", "--dry-run", "--dryrun"}.intersection(sys.argv):
                become_head(HEAD, f"room (snakemake {deleting})")  # Snakemake does not call `begin` then
        except UserError as error:
            refuse(str(error))
        self.study = self.plan.study
        self._jobs: dict[tuple[str, str], PlannedJob] = {}
        self._warned: set[str] = set()
        if workflow.is_main_process:
            logger.info(f"Study: {self.study.study}")
            if not os.access(".snakemake" if os.path.exists(".snakemake") else ".", os.W_OK):
                refuse(
                    f"{os.getcwd()}: this folder cannot be written, and Snakemake keeps its notes in its .snakemake; "
                    f"work in one of your own: snakemake --snakefile {workflow.main_snakefile} --directory DIR"
                )
        # The SLURM plugin would look up an account in the accounting database before each submission, and silently drop
        # the job if the database did not answer; sbatch reads this variable.
        if self.cluster.account is not None:
            os.environ["SBATCH_ACCOUNT"] = self.cluster.account

    # --- jobs -------------------------------------------------------------------------------------------------

    def target(self, name: str) -> Job:
        """The job of a table or figure."""
        try:
            return self.plan.target(name)
        except UserError as error:
            refuse(str(error))

    def job(self, stage: str, job: str) -> PlannedJob:
        """The planned job that makes a path; ends the run if the path belongs to another study."""
        found = self._jobs.get((stage, job))
        if found is None:
            found = None if self.workflow.is_main_process else read_planned(stage, job)
            found = self._jobs[stage, job] = found or PlannedJob.of(self._planned(stage, job))
        return found

    def _planned(self, stage: str, job: str) -> Job:
        try:
            found = self.plan.find(stage, job)
        except UserError as error:
            refuse(str(error))
        if found is None:
            why = f"is not part of study {self.study.study!r}"
            if not self.workflow.is_main_process:
                why = (
                    "the code, the configuration or the lock has changed since this job was planned; "
                    "start snakemake again"
                )
            refuse(f"{stage}/{job}: {why}")
        return found

    # --- files ------------------------------------------------------------------------------------------------

    def outputs(self, stage: str) -> dict[str, str]:
        """Named output files of a stage, the record last."""
        return output_paths(stage, "{job}")

    def inputs(self, stage: str) -> Callable[..., Any]:
        """Named input files of a stage's jobs.

        A path with a digest identifies its content, so inputs of a finished job are `ancient`: their times are ignored.
        `_compare_published` compares the content of the inputs of tables and figures. Inputs of a job with a missing
        output are not `ancient`: else Snakemake skips the job when it re-creates one of its inputs, and reports that
        all is done.
        """

        def paths(wildcards: Any) -> dict[str, Any]:
            planned = self.job(stage, wildcards.job)
            finished = all(map(os.path.exists, planned.outputs.values()))
            job = self.plan.jobs.get((stage, wildcards.job))
            if job is not None and self.workflow.is_main_process:
                self._warn_of_data(job)
                if not finished:
                    self._recover_bulk(job)
            named = {**planned.inputs, "bulk": planned.waits_for} if planned.waits_for else planned.inputs
            return {name: self.ancient(files) for name, files in named.items()} if finished else dict(named)

        return for_wildcards(paths)

    def _recover_bulk(self, job: Job) -> None:
        """Re-create deleted big files that this unfinished job needs.

        The job that wrote the manifest depends on them. Forcing the manifest makes Snakemake run that job after them;
        it writes the same manifest again.
        """
        lost = {maker for files in job.bulk.values() for maker in _lost(files)}
        if lost:
            for maker, output in (file for files in job.inputs.values() for file in files):
                makers = (made_by for files in maker.bulk.values() for made_by, _ in files)
                if not lost.isdisjoint(makers) and os.path.exists(maker.output(output)):
                    self.workflow.dag.forcefiles.add(maker.output(output))

    def _warn_of_data(self, job: Job) -> None:
        for message in data_of(job).values() if self.workflow.dryrun else ():
            if message and message not in self._warned:
                self._warned.add(message)
                self.logger.warning(message)

    # --- tables and figures -----------------------------------------------------------------------------------

    def finished(self) -> Callable[..., Any]:
        """Outputs of the job of a table or figure, by name."""

        def paths(wildcards: Any) -> dict[str, Any]:
            job = self.target(wildcards.job)
            if self.workflow.is_main_process:
                self._compare_published(wildcards.job, job)
            return {name: self.ancient(job.output(name)) for name in STAGES[job.stage].outputs}

        return for_wildcards(paths)

    @functools.cache  # noqa: B019  (one object a process)
    def _compare_published(self, name: str, job: Job) -> None:
        """Publish a table or figure again if its stable names do not hold this study's complete files.

        No file is changed here: Snakemake re-creates "forced" files if it runs jobs, whatever its metadata says.
        """
        dag = self.workflow.dag
        stable, made = published_paths(name).values(), [job.output(output) for output in STAGES[job.stage].outputs]
        if job.stage in {rule.name for rule in dag.forcerules} or not dag.forcefiles.isdisjoint([*stable, *made]):
            dag.forcefiles.update(stable, made)  # the user forces one of the two: it is computed, not only copied
        why = wrong(job)
        if why and Path(target_path(name)).exists():
            dag.forcefiles.update(stable)
            study = self.study.study
            self.logger.warning(f"{target_path(name)} {why}; it stays until that of study {study!r} is made")
        record = read_record(job.output("record"))
        if why and record is not None and not read_the_same(record):
            dag.forcefiles.update(made)

    def no_such_target(self, wildcards: Any) -> NoReturn:
        """End with a message about a name that no rule makes."""
        refuse(no_target(wildcards.name, [rule.name for rule in self.workflow.rules if not rule.has_wildcards()]))

    # --- resources -------------------------------------------------------------------------------------------

    def on_cluster(self) -> bool:
        """Whether this process submits jobs to a cluster, or is such a job."""
        plugin = self.workflow.executor_plugin
        return bool(self.workflow.remote_exec or (plugin is not None and plugin.common_settings.non_local_exec))

    def _request(self, stage: str, wildcards: Any) -> Request:
        """Cluster resources of one job, for all of its GPUs."""
        job = self.job(stage, wildcards.job)
        asked = STAGES[stage].of(job.variant).request
        assert asked is not None, f"{stage} runs where Snakemake does"
        return asked.on(self.cluster, job.devices)

    def threads(self, stage: str) -> Callable[..., int]:
        """Cores of a stage's jobs: one on a laptop, where jobs run side by side."""

        def cores(wildcards: Any) -> int:
            if STAGES[stage].request is None or not self.on_cluster():
                return 1
            return self._request(stage, wildcards).cpus

        return for_wildcards(cores)

    def resources(self, stage: str) -> dict[str, Any]:
        """Cluster resources of a stage's jobs."""
        asked = STAGES[stage].request
        if asked is None:
            return {}
        found = resources(asked, self.cluster, lambda wildcards: self._request(stage, wildcards))
        return {name: for_wildcards(value) if callable(value) else value for name, value in found.items()}

    def arguments(self, stage: str) -> Callable[..., str]:
        """The spec and the named files of a stage's jobs, for `robust3d run`."""
        return for_wildcards(lambda wildcards: self.job(stage, wildcards.job).arguments)

    @property
    def command(self) -> str:
        """`robust3d` in a shell line: the code of this checkout, in any environment or container."""
        code = shlex.quote(str(Path(robust3d.__file__).parents[1]))
        return _without_braces(f"PYTHONPATH={code} python -m robust3d.cli")

    @property
    def run(self) -> str:
        """The shell line of every stage's rule; arguments go in on stdin: command lines are limited in length."""
        store = _without_braces(f" --store {shlex.quote(self.study.store)}") if self.study.store else ""
        line = f"{self.command} run{store} --job {{wildcards.job}} --threads {{threads}} @/dev/stdin"
        return f"{line} <<'ARGUMENTS'\n{{params.arguments}}\nARGUMENTS"

    # --- begin and end ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Checks before the first job runs."""
        workflow = self.workflow
        without_rate_limit(workflow)
        if workflow.touch:
            refuse("--touch: a file's time decides nothing here, so there is nothing to touch")
        needed = [job for job in workflow.dag.needrun_jobs() if job.rule.name in STAGES]
        keys = [(job.rule.name, job.wildcards_dict["job"]) for job in needed]
        # Missing data that a user has to download is reported before anything is rendered or trained.
        missing = data_folders(self.plan.jobs[key] for key in keys if key in self.plan.jobs).values()
        if any(missing):
            refuse("\n".join(filter(None, missing)))
        try:
            become_head(HEAD, ", ".join(sorted(workflow.dag_settings.targets)) or "tables 1 to 4")
            asked = [(job.rule.name, job.wildcards_dict["job"]) for job in workflow.dag.jobs if job.rule.name in STAGES]
            write_asked(HEAD, {key: kind(self.job(*key).spec) for key in asked})
        except UserError as error:
            refuse(str(error))
        self.plan.on_disk.to_environment()
        if self.study.store and (complaint := store_trouble(Path(self.study.store))):
            self.logger.warning(f"store: {complaint}; jobs run without")
        if self.on_cluster():
            write_planned(self.job(*key) for key in keys)
            away = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
            run = getattr(workflow.scheduler.get_executor(away[0]), "run_uuid", None) if away else None
            if run:  # the name of all SLURM jobs of this process
                watch_slurm(run, self.cluster.patience_min)

    def tell_failures(self, most: int = 10) -> None:
        """Print the failed jobs at the end, also with `--quiet all`, which shows nothing else."""
        failed = self.workflow.scheduler.failed
        for job in sorted(failed, key=str)[:most]:
            name = job.wildcards_dict.get("job") or job.wildcards_dict.get("name", "")
            where = f"; logs: logs/rule_{job.rule.name}/{name}" if self.on_cluster() and not job.is_local else ""
            print(f"robust3d: failed: {job.rule.name} {name}{where}", file=sys.stderr)
        if len(failed) > most:
            print(f"robust3d: and {len(failed) - most} more jobs failed", file=sys.stderr)


@functools.cache
def _lost(files: tuple[tuple[Job, str], ...]) -> frozenset[Job]:
    """The jobs whose output is missing."""
    return frozenset(job for job, output in files if not os.path.exists(job.output(output)))


def _without_braces(text: str) -> str:
    """Escape braces for a shell line, which Snakemake formats."""
    return text.replace("{", "{{").replace("}", "}}")


def made_paths() -> str:
    """Regular expression of all output paths of the rules."""
    stages: Iterable[str] = (
        re.escape(path).replace("<job>", "[^/]+") for stage in STAGES for path in output_paths(stage, "<job>").values()
    )
    stable = (re.escape(path) for name in every_target() for path in published_paths(name).values())
    inside = "|".join(path.removeprefix(f"{RESULTS}/") for path in (*stages, *stable))
    return rf"{RESULTS}/({inside})|resources/\.downloaded/[^/]+\.json"
