"""A job: its parameters (its spec), its inputs and the paths of its outputs.

A job's folder is ``results/<stage>/<readable name>-<digest>``: the digest covers the job's spec and the digests
of the jobs that make its inputs. A name is therefore an identity: after an edit of a parameter the file is missing,
after a revert it exists again.
"""

import functools
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from robust3d import registry
from robust3d.params import Params
from robust3d.study.accepted import accepted_digest
from robust3d.study.closure import planned_digest
from robust3d.study.numerics import PORTABLE
from robust3d.study.requests import Request
from robust3d.study.stages import STAGES, locked_versions
from robust3d.study.targets import output_path

Inputs = dict[str, tuple[tuple["Job", str], ...]]


@dataclass(frozen=True, eq=False)
class Job:
    """One run of a stage.

    Attributes:
        stage: the rule and the module in `robust3d.stages`.
        label: readable part of the folder's name.
        params: the stage's parameters, resolved; it gets nothing else.
        inputs: named lists of (job, output name), passed on the command line.
        bulk: the same for big files that a manifest among the inputs lists; passed to Snakemake only.
        plugins: (kind, name) of modules that the stage loads by name.
        numerics: which processor instructions it may use (`robust3d.study.numerics`).
        key: of the configuration, whose value says what it reads from disk; for messages.
    """

    stage: str
    label: str
    params: dict[str, Any]
    inputs: Inputs = field(default_factory=dict)
    bulk: Inputs = field(default_factory=dict)
    plugins: tuple[tuple[str, str], ...] = ()
    numerics: str = "native"
    key: str = ""

    @property
    def modules(self) -> tuple[str, ...]:
        """The roots of the code closure: the stage's module and its plug-ins."""
        return (registry.module_name("stage", self.stage), *(registry.module_name(*p) for p in self.plugins))

    @functools.cached_property
    def spec(self) -> str:
        """Canonical JSON: parameters, code digest and package versions."""
        roots = self.modules
        content = {
            "stage": self.stage,
            "params": self.params,
            "modules": roots,
            "code": accepted_digest(roots, planned_digest(roots)),
            "packages": locked_versions((*STAGES[self.stage].packages, *registry.packages(self.plugins))),
        }
        if self.numerics != "native":
            content["numerics"] = PORTABLE
        return canonical_json(content)

    @functools.cached_property
    def digest(self) -> str:
        """Twelve hex digits over the spec and the digests of the inputs' jobs."""
        made_from = {
            name: [f"{job.digest}/{output}" for job, output in files] for name, files in sorted(self.inputs.items())
        }
        return hashlib.sha256(f"{self.spec}\n{canonical_json(made_from)}".encode()).hexdigest()[:12]

    @functools.cached_property
    def id(self) -> str:
        """Name of the folder."""
        return f"{self.label}-{self.digest}"

    @property
    def devices(self) -> int:
        """How many GPUs share the batches of a training."""
        training = self.params.get("classifier") or getattr(self.params.get("params"), "loop", None)
        return getattr(training, "devices", 1)

    @property
    def request(self) -> Request | None:
        """Cluster resources on one GPU; None: a local job, run by Snakemake itself."""
        return STAGES[self.stage].of(self.params.get(self.stage)).request

    def output(self, name: str) -> str:
        """Path of a named output."""
        return output_path(self.stage, name, self.id)

    def input_paths(self) -> dict[str, list[str]]:
        """Paths of the inputs passed on the command line."""
        return {name: [job.output(output) for job, output in files] for name, files in self.inputs.items()}

    def bulk_paths(self) -> list[str]:
        """Paths of the big files."""
        return [job.output(output) for files in self.bulk.values() for job, output in files]


def canonical_json(value: Any) -> str:
    """One line of JSON, keys sorted: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Params):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no place in a spec")


def slug(text: str) -> str:
    """Text as part of a folder's name; never empty, as a name that begins with a hyphen looks like an option."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:100] or "x"
