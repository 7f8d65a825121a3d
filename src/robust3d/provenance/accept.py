"""Declares a code change harmless for what exists: code of now counts as the code that made it, with a reason."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime

from robust3d.errors import UserError
from robust3d.files import write_json
from robust3d.provenance.lineage import Lineage, Step
from robust3d.study.accepted import acceptances, accepted_file
from robust3d.study.closure import closure_digest
from robust3d.study.config import Study
from robust3d.study.jobs import Job
from robust3d.study.plan import Plan
from robust3d.study.stages import STAGES


def accept(rule: str, reason: str, study: Study) -> str:
    """Write an acceptance for each code closure of a rule that differs from that of what exists.

    Args:
        rule: a stage, as its rule is called.
        reason: why no result can differ.
        study: tells which jobs are meant.

    Raises:
        UserError: an unknown rule, no reason, or nothing that exists was made by earlier code of the rule.
    """
    if rule not in STAGES:
        raise UserError(f"{rule}: no such rule; there are {', '.join(STAGES)}")
    if not reason.strip():
        raise UserError("--reason: say why no result can differ; it is shown with every number that depends on it")
    planned = [job for job in Plan(study).every_job() if job.stage == rule]
    steps = [step for step in Lineage().records() if step.stage == rule]
    entries = []
    for modules in sorted({job.modules for job in planned}):
        earlier = _earlier_code([job for job in planned if job.modules == modules], steps)
        now = closure_digest(modules)
        if earlier is not None and earlier != now:
            entries.append(
                {
                    "rule": rule,
                    "modules": list(modules),
                    "code": now,
                    "counts_as": earlier,
                    "reason": reason.strip(),
                    "by": os.environ.get("USER") or "unknown",
                    "on": datetime.now(UTC).date().isoformat(),
                }
            )
    if not entries:
        raise UserError(
            f"{rule}: nothing in results/ was made by other code of this rule, so there is nothing to accept"
        )
    replaced = {(tuple(entry["modules"]), entry["code"]) for entry in entries}
    kept = [dict(entry) for entry in acceptances() if (entry["modules"], entry["code"]) not in replaced]
    accepted_file().parent.mkdir(parents=True, exist_ok=True)
    write_json(accepted_file(), kept + entries)
    listed = "\n".join(f"  {entry['code'][:12]} counts as {entry['counts_as'][:12]}" for entry in entries)
    return f"{accepted_file()}: {rule}\n{listed}\ncommit this file; `robust3d plan` shows what would still run"


def _earlier_code(jobs: Sequence[Job], steps: Sequence[Step]) -> str | None:
    """The code of the latest finished job with the same parameters as one of `jobs`, whatever its code."""
    specs = [{**json.loads(job.spec), "code": ""} for job in jobs]
    alike = [step for step in steps if {**step.record["spec"], "code": ""} in specs]
    alike.sort(key=lambda step: str(step.record["started"]))
    return str(alike[-1].record["spec"]["code"]) if alike else None
