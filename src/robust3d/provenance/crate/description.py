"""What a crate tells of a result: workflow, steps, tools, actions, parameters, people."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from robust3d.errors import UserError
from robust3d.files import sha256
from robust3d.named import kind_of
from robust3d.provenance.attribution import attribution
from robust3d.provenance.crate.files import BIOSCHEMAS, Crate, leaves, one, plain, quoted
from robust3d.provenance.lineage import File, Lineage, Step

LOCK = "envs/requirements.lock"
_PROJECT = (
    "LICENSE",
    "CITATION.cff",
    "config.yaml",
    "workflow/accepted.json",
    "workflow/scales/*",
    "workflow/objects/*/*",
    "workflow/rules/*",
    "src/robust3d/papers/*/config.yaml",
)
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
_COMPLETED = "http://schema.org/CompletedActionStatus"
_TYPES = {bool: "Boolean", int: "Integer", float: "Float"}
_USAGE = {  # of the record: what it says, UN/CEFACT code of the unit
    "seconds": ("wall time", "SEC"),
    "cpu_seconds": ("processor time", "SEC"),
    "peak_memory_mb": ("largest memory of a process", "E63"),
}


_README = """\
# {target} of robust3d, with its provenance

`ro-crate-metadata.json` describes, as a Workflow Run RO-Crate (Provenance Run Crate 0.5), every job that the result
rests on: its parameters, its code, environment, times and machine, what it read and what it wrote. The same stands,
in full, in the `record.json` of each job under `results/`.

- `runcrate report .` lists the jobs.
- `rocrate-validator validate .` checks the crate.
- Each file has its `sha256` in the metadata. Those that are not here, because they are big, were published by others
  or have changed since, are named by it: `ni:///sha-256;…` is the same hash in base64url (RFC 6920).
- `ATTRIBUTION.txt`, where it is there, names the creators and licences of the published objects that the result shows.
"""


class Description:
    """The workflow and its authors, to which the jobs behind a result are added.

    Args:
        crate: what to fill.
        lineage: the records.
    """

    def __init__(self, crate: Crate, lineage: Lineage) -> None:
        self.crate = crate
        self.lineage = lineage
        self.citation = _citation()
        # Where the project has no public address, identifiers are local to the crate.
        self.home = str(self.citation.get("repository-code") or self.citation.get("url") or "")
        self.authors = [self._author(author) for author in self.citation.get("authors") or [{"name": "robust3d"}]]
        self.agent = one(self.authors)
        self.workflow = self._workflow()
        self.rules: dict[str, Any] = {}

    def describe(self, target: str, step: Step) -> int:
        """Describe a result and every job that it depends on; returns their number."""
        actions, controls = [], []
        for made in self.lineage.ancestors(step):
            try:
                action, rule = self._job(made)
            except UserError:
                raise
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise UserError(f"{made.name}: not a record of this version ({error!r}); make it again") from None
            actions.append(action)
            control = self.crate.entity(
                f"#control/{quoted(made.stage)}/{quoted(made.job)}",
                "ControlAction",
                name=f"schedule {action['name']}",
                instrument=rule,
                object=action,
                actionStatus=_COMPLETED,
            )
            controls.append(control)
        run = self._run(step, actions)
        organize = self.crate.entity(
            "#organize",
            "OrganizeAction",
            name="execution by Snakemake",
            instrument=self._engine(),
            agent=self.agent,
            object=one(controls),
            result=run,
            startTime=run["startTime"],
            endTime=run["endTime"],
            actionStatus=_COMPLETED,
        )
        self._root(plain(target), [run, organize, *actions])
        if credits := attribution(self.lineage, step):
            self.crate.text("ATTRIBUTION.txt", credits, encodingFormat="text/plain", about=self.crate.ro.root_dataset)
        return len(actions)

    def _root(self, target: str, mentions: list[Any]) -> None:
        """What the crate is, for programs and for people."""
        root = self.crate.ro.root_dataset
        root["name"] = f"{target} of robust3d, with its provenance"
        root["description"] = (
            f"{target} and everything behind it: every job with its parameters, code, environment, inputs and outputs. "
            "Files that are not in the crate are named by their sha256."
        )
        root["author"] = self.agent
        organizations = [author for author in self.authors if author.type == "Organization"]
        root["publisher"] = organizations[0] if organizations else self._organization("robust3d")
        root["license"] = self.crate.entity(
            "https://spdx.org/licenses/MIT",
            "CreativeWork",
            name="MIT License",
            description="Anyone may use, copy, change and pass on the files as long as the notice stays; no warranty.",
        )
        root["conformsTo"] = [self.crate.profile(identifier, name) for identifier, name in _PROFILES.items()]
        root["mentions"] = mentions
        self.crate.text("README.md", _README.format(target=target), encodingFormat="text/markdown", about=root)

    def _author(self, author: dict[str, str]) -> Any:
        """A person or an entity of CITATION.cff."""
        if "name" in author:
            return self._organization(author["name"], author.get("website"))
        name = plain(" ".join(author[key] for key in ("given-names", "family-names") if key in author))
        person = self.crate.entity(author.get("orcid") or f"#person/{quoted(name)}", "Person", name=name)
        if "affiliation" in author:
            person["affiliation"] = self._organization(author["affiliation"])
        return person

    def _organization(self, name: str, url: str | None = None) -> Any:
        found = self.crate.entity(f"#organization/{quoted(name)}", "Organization", name=plain(name))
        if url or self.home:
            found["url"] = url or self.home
        return found

    def _workflow(self) -> Any:
        """The Snakefile; and the other files of the project that the workflow is made of."""
        digest, size = sha256(Path("Snakefile")), Path("Snakefile").stat().st_size
        self.crate.copied["Snakefile"] = File("Snakefile", digest, size)
        workflow = self.crate.ro.add_workflow(
            "Snakefile",
            "Snakefile",
            main=True,
            lang="snakemake",
            properties={
                "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
                "name": "robust3d",
                "version": str(self.citation.get("version", "unknown")),
                "sha256": digest,
                "contentSize": str(size),
                "encodingFormat": "text/plain",
                "author": self.agent,
            },
        )
        workflow["url"] = self.home or workflow
        workflow["conformsTo"] = self.crate.profile(
            f"{BIOSCHEMAS}/ComputationalWorkflow/1.0-RELEASE", "ComputationalWorkflow"
        )
        for path in sorted(path for pattern in _PROJECT for path in Path().glob(pattern) if path.is_file()):
            self.crate.present(path.as_posix(), description="As it was when this crate was written.")
        return workflow

    def _engine(self) -> Any:
        match = re.search(r"^snakemake==(\S+)", Path(LOCK).read_text(encoding="utf-8"), re.MULTILINE)
        version = match[1] if match else "unknown"
        return self.crate.entity(
            f"https://pypi.org/project/snakemake/{version}/",
            "SoftwareApplication",
            name="Snakemake",
            softwareVersion=version,
            url="https://snakemake.github.io",
        )

    def _run(self, step: Step, actions: list[Any]) -> Any:
        """The run of the workflow as a whole, from the configuration to the result."""
        results = []
        for name, file in step.outputs.items():
            parameter = self.crate.formal("workflow", "output", name)
            results.append(self.crate.result(file))
            self.crate.link(results[-1], "exampleOfWork", parameter)
            self.crate.link(self.workflow, "output", parameter)
            self.crate.link(
                self.workflow, "connection", self._connection(self.crate.formal(step.stage, "output", name), parameter)
            )
        if {"cells", "table"} <= set(step.outputs):
            self.crate.link(self.crate.result(step.outputs["cells"]), "about", self.crate.result(step.outputs["table"]))
        run = self.crate.entity(
            "#run",
            "CreateAction",
            name=f"run of the workflow for {plain(step.label)}",
            description="All jobs together, from the first start to the last end; they may have run on several days.",
            instrument=self.workflow,
            agent=self.agent,
            result=one(results),
            startTime=min(action["startTime"] for action in actions),
            endTime=max(action["endTime"] for action in actions),
            actionStatus=_COMPLETED,
        )
        configuration = self.crate.ro.get("config.yaml")
        if configuration is not None:
            parameter = self.crate.formal("workflow", "input", "configuration")
            self.crate.link(configuration, "exampleOfWork", parameter)
            self.crate.link(self.workflow, "input", parameter)
            run["object"] = configuration
        return run

    def _job(self, step: Step) -> tuple[Any, Any]:
        """The action of a job, and the step of the workflow that it carried out."""
        record, stage = step.record, quoted(step.stage)
        tool = self._tool(step)
        self.crate.link(self.workflow, "hasPart", tool)
        rule = self._rule(step.stage)
        self.crate.link(rule, "workExample", tool)
        started = datetime.fromisoformat(record["started"]).astimezone(UTC)
        environment = {key: record[key] for key in ("host", "slurm")} | record["environment"]
        action = self.crate.entity(
            f"#job/{stage}/{quoted(step.job)}",
            "CreateAction",
            name=plain(step.job if step.job == step.label else f"{step.stage} {step.job}"),
            description=plain(_story(record)),
            instrument=tool,
            agent=self.agent,
            startTime=started.isoformat(timespec="milliseconds"),
            endTime=(started + timedelta(seconds=record["seconds"])).isoformat(timespec="milliseconds"),
            actionStatus=_COMPLETED,
            environment=one(
                self.crate.value("environment", name, value)
                for name, value in leaves(environment).items()
                if value not in (None, {})
            ),
            resourceUsage=[
                self.crate.value(f"usage/{key}", name, record[key], propertyID=key, unitCode=unit)
                for key, (name, unit) in _USAGE.items()
            ],
        )
        self.crate.link(action, "object", *self._inputs(step, tool, rule))
        self.crate.link(action, "result", *self._outputs(step, tool))
        self.crate.link(self.crate.present(step.name), "about", action)
        self.crate.source(LOCK, record["environment"]["lock"])
        return action, rule

    def _rule(self, stage: str) -> Any:
        """A step of the workflow; rules are numbered in the order in which their first jobs must run."""
        if stage not in self.rules:
            position = str(len(self.rules) + 1)
            rule = self.crate.entity(f"#step/{quoted(stage)}", "HowToStep", name=plain(stage), position=position)
            self.crate.link(self.workflow, "step", rule)
            self.rules[stage] = rule
        return self.rules[stage]

    def _tool(self, step: Step) -> Any:
        """The module of a stage, in one state of its code."""
        spec = step.record["spec"]
        files = {
            module: self.crate.source(code["file"], code["sha256"]) for module, code in step.record["code"].items()
        }
        module = spec["modules"][0]
        tool = self.crate.entity(
            f"{self.home}#tool/{quoted(step.stage)}/{quoted(spec['code'][:12])}",
            "SoftwareApplication",
            name=plain(module),
            softwareVersion=plain(spec["code"]),
        )
        if self.home or module in files:
            tool["url"] = self.home or files[module]
        self.crate.link(tool, "hasPart", *files.values())
        return tool

    def _inputs(self, step: Step, tool: Any, rule: Any) -> Iterable[Any]:
        """Files that a job read, and all of its parameters."""
        for name, files in step.inputs.items():
            parameter = self.crate.formal(step.stage, "input", kind_of(name))
            self.crate.link(tool, "input", parameter)
            for file in files:
                source = self._made_as(file)
                if source is not None:
                    self.crate.link(rule, "connection", self._connection(source, parameter))
                entity = self.crate.result(file)
                self.crate.link(entity, "exampleOfWork", parameter)
                yield entity
        for name, value in leaves(step.params).items():
            parameter = self.crate.formal(step.stage, "parameter", name, kind=_TYPES.get(type(value), "Text"))
            self.crate.link(tool, "input", parameter)
            entity = self.crate.value(f"parameter/{quoted(step.stage)}", name, value)
            self.crate.link(entity, "exampleOfWork", parameter)
            yield entity

    def _made_as(self, file: File) -> Any | None:
        """The output of a tool that a file was."""
        maker = self.lineage.owner(file.path)
        if maker is None:
            return None
        names = (name for name, made in maker.outputs.items() if made == file)
        return next((self.crate.formal(maker.stage, "output", name) for name in names), None)

    def _outputs(self, step: Step, tool: Any) -> Iterable[Any]:
        for name, file in step.outputs.items():
            parameter = self.crate.formal(step.stage, "output", name)
            self.crate.link(tool, "output", parameter)
            entity = self.crate.result(file)
            self.crate.link(entity, "exampleOfWork", parameter)
            yield entity

    def _connection(self, source: Any, target: Any) -> Any:
        """That what one tool writes is what another reads."""
        return self.crate.entity(
            f"#connection/{source.id[1:]}/{target.id[1:]}",
            "ParameterConnection",
            sourceParameter=source,
            targetParameter=target,
        )


def _story(record: Mapping[str, Any]) -> str:
    """What a reader should know about a job in addition to its facts."""
    text = f"robust3d run {record['spec']['stage']} made {record['job']}."
    if reused := record.get("reused"):
        text += f" Its outputs were copied at {reused['at']} from {reused['from']}, first made by "
        text += f"{reused['first_made_by']}; times, host and code are those of the first run."
    if accepted := record.get("accepted"):
        text += (
            f" {accepted['by']} accepted its code on {accepted['on']} as giving the same results: {accepted['reason']}"
        )
    return text


def _citation() -> dict[str, Any]:
    """What CITATION.cff says, if there is one."""
    import yaml

    path = Path("CITATION.cff")
    if not path.is_file():
        return {}
    try:
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
