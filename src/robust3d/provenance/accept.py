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
from robust3d.study.jobs import Job, canonical_json
from robust3d.study.plan import Plan
from robust3d.study.stages import STAGES


def accept(rule: str, reason: str, study: Study, chosen: Sequence[str] = ()) -> str:
    """Write an acceptance for each code closure of a rule that differs from that of what exists.

    Args:
        rule: a stage, as its rule is called.
        reason: why no result can differ.
        study: tells which jobs are meant.
        chosen: beginnings of digests: which code is meant where jobs of several exist.

    Raises:
        UserError: an unknown rule, no reason, or nothing that exists was made by other code of the rule, or by several
            codes of which none is chosen.
    """
    if rule not in STAGES:
        raise UserError(f"{rule}: no such rule; there are {', '.join(STAGES)}")
    if not reason.strip():
        raise UserError("--reason: say why no result can differ; it is shown with every number that depends on it")
    planned = [job for job in Plan(study).every_job() if job.stage == rule]
    steps = [step for step in Lineage().records() if step.stage == rule]
    entries, unused = [], set(chosen)
    for modules in sorted({job.modules for job in planned}):
        now = closure_digest(modules)
        codes = _other_codes([job for job in planned if job.modules == modules], steps, now)
        asked = {code: prefix for code in codes for prefix in chosen if code.startswith(prefix)}
        unused -= set(asked.values())
        meant = list(asked or codes)
        if len(meant) > 1:
            raise UserError(_several(rule, codes))
        for earlier in meant:
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
    if unused:
        raise UserError(f"--code {min(unused)}: no job of {rule} with this study's parameters is of such code")
    replaced = {(tuple(entry["modules"]), entry["code"]) for entry in entries}
    kept = [dict(entry) for entry in acceptances() if (entry["modules"], entry["code"]) not in replaced]
    accepted_file().parent.mkdir(parents=True, exist_ok=True)
    write_json(accepted_file(), kept + entries)
    listed = "\n".join(f"  {entry['code'][:12]} counts as {entry['counts_as'][:12]}" for entry in entries)
    return f"{accepted_file()}: {rule}\n{listed}\ncommit this file; `robust3d plan` shows what would still run"


def _other_codes(jobs: Sequence[Job], steps: Sequence[Step], now: str) -> dict[str, list[str]]:
    """When each finished job with the parameters of one of `jobs` was started, by its code, that of now left out."""
    specs = {canonical_json({**json.loads(job.spec), "code": ""}) for job in jobs}
    found: dict[str, list[str]] = {}
    for step in steps:
        spec = step.record["spec"]
        if spec["code"] != now and canonical_json({**spec, "code": ""}) in specs:
            found.setdefault(spec["code"], []).append(str(step.record["started"]))
    return found


def _several(rule: str, codes: dict[str, list[str]]) -> str:
    listed = "".join(
        f"\n  {code[:12]}: {len(started)} {'job' if len(started) == 1 else 'jobs'}, the last of {max(started)[:10]}"
        for code, started in sorted(codes.items(), key=lambda item: max(item[1]))
    )
    return f"{rule}: jobs of several other codes exist; choose with --code which one the code of now counts as{listed}"
