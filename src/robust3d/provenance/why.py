"""Where a cell comes from: value, formula and interval, then every step from the metrics back to the meshes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from robust3d.provenance.changes import flatten
from robust3d.provenance.lineage import Lineage, Step, results_of
from robust3d.study.accepted import acceptances_of
from robust3d.study.stages import STAGES


def why(table: Path, row: str, column: str) -> dict[str, Any]:
    """The whole lineage of one cell as plain data.

    Args:
        table: ``results/table4.csv``, say.
        row: label of the row as printed.
        column: label of the column as printed.

    Returns:
        The cell, and `steps` by name, each with its parameters, inputs, code and environment; `made_by` names the
        steps that wrote the cell's sources.

    Raises:
        UserError: no such table, row or column.
    """
    lineage = Lineage(results_of(table))
    cell = lineage.cell(str(table), row, column)
    first = sources(lineage, table, cell)
    steps = {step.name: _facts(lineage, step) for step in reversed(lineage.ancestors(*first))}
    study = lineage.cells(str(table))["study"]
    return {"table": str(table), "study": study, **cell, "made_by": [step.name for step in first], "steps": steps}


def sources(lineage: Lineage, table: Path, cell: dict[str, Any]) -> list[Step]:
    """The steps that wrote what a cell was computed from; of a cell without measurements the table's own."""
    owners = [lineage.owner(source["file"]) for source in cell["sources"]] or [lineage.target(str(table))]
    return list({step.name: step for step in owners if step is not None}.values())


def _facts(lineage: Lineage, step: Step) -> dict[str, Any]:
    record = step.record
    files = {name: [vars(file) for file in files] for name, files in step.inputs.items()}
    return {
        "stage": step.stage,
        "job": step.job,
        "made_from": [parent.name for parent in lineage.parents(step)],
        "params": step.params,
        "seeds": {key: value for key, value in flatten(step.params).items() if key.endswith("seed")},
        "inputs": files,
        "outputs": {name: vars(file) for name, file in step.outputs.items()},
        "code": {name: {"file": code["file"], "sha256": code["sha256"]} for name, code in record["code"].items()},
        "code_digest": record["spec"]["code"],
        "packages": record["spec"]["packages"],
        "lock": record["environment"]["lock"],
        "python": record["environment"]["python"],
        "host": record["host"],
        "slurm": record["slurm"],
        "started": record["started"],
        "seconds": record["seconds"],
        "peak_memory_mb": record["peak_memory_mb"],
        "command": record["command"],
        "notes": record["notes"],
        "reused": record["reused"],
        "accepted": acceptances_of(record["spec"]),
    }


def as_text(answer: dict[str, Any]) -> str:
    """The same for people: the cell, then a tree; a step that was shown above is only named."""
    lines = [f"{answer['table']} of study {answer['study']!r}"]
    lines.append(f"{answer['row']} · {answer['column']} = {answer['text']}{_unit(answer)}")
    lines.append(f"  value     {answer['value']}")
    lines.append(f"  formula   {answer['formula']}")
    if interval := answer.get("interval"):
        lines.append(f"  interval  {interval['low']:.4f} to {interval['high']:.4f} ({interval['kind']})")
    if printed := answer.get("printed"):
        judged = "comparable" if printed["comparable"] else "not comparable"
        lines.append(f"  printed   {printed['value']} ({judged})")
    lines += [f"  flag      {flag}" for flag in answer.get("flags", [])]
    lines += [f"  from      {s['file']} {s['pointer']}, sha256 {s['sha256']}" for s in answer["sources"]]
    shown: set[str] = set()
    for name in answer["made_by"]:
        lines += _tree(answer["steps"], name, "", shown)
    lines.append("code files")
    files = {code["file"]: code["sha256"] for step in answer["steps"].values() for code in step["code"].values()}
    lines += [f"  {sha}  {file}" for file, sha in sorted(files.items())]
    return "\n".join(lines)


def _unit(answer: dict[str, Any]) -> str:
    return f" {answer['unit']}" if "unit" in answer else ""


def _tree(steps: dict[str, Any], name: str, indent: str, shown: set[str]) -> list[str]:
    step = steps[name]
    if name in shown:
        return [f"{indent}└ {step['stage']} {step['job']} (above)"]
    shown.add(name)
    lines = [f"{indent}└ {step['stage']} {step['job']}", *(f"{indent}    {line}" for line in _step_lines(step))]
    made_from = [parent for parent in step["made_from"] if parent in steps]
    for stage in (name for name, declared in STAGES.items() if declared.in_parts):
        group = [parent for parent in made_from if steps[parent]["stage"] == stage]
        if len(group) > 1:
            made_from = [parent for parent in made_from if parent not in group]
            lines += _summary(steps, group, f"{indent}  ", shown)
    for parent in made_from:
        lines += _tree(steps, parent, f"{indent}  ", shown)
    return lines


def _step_lines(step: dict[str, Any]) -> list[str]:
    params = ", ".join(f"{key} {value}" for key, value in flatten(step["params"]).items())
    host = step["host"]
    where = f"{host['name']}, {host['gpu'] or 'no GPU'}, {host['threads']} thread(s), Python {step['python']}"
    lines = [
        f"params    {params if len(params) <= 2000 else params[:2000] + ' … (all with --json)'}",
        f"seeds     {', '.join(f'{key} {value}' for key, value in step['seeds'].items()) or 'none'}",
        *(
            f"wrote     {file['path']}, {file['bytes']} bytes, sha256 {file['sha256']}"
            for file in step["outputs"].values()
        ),
        f"code      {len(step['code'])} files, digest {step['code_digest']}",
        f"packages  {', '.join(f'{name} {version}' for name, version in step['packages'].items())}",
        f"lock      sha256 {step['lock']}",
        f"ran       {step['started']}, {step['seconds']:.1f} s, {step['peak_memory_mb']:.0f} MB, {where}",
        f"command   {_command(step['command'])}",
    ]
    lines += [f"slurm     {key} {value}" for key, value in step["slurm"].items()]
    if step["reused"]:
        lines.append(f"reused    the files of {step['reused']['job']}, copied {step['reused']['at']}")
    return lines + [f"accepted  {_acceptance(entry)}" for entry in step["accepted"]]


def _acceptance(entry: dict[str, Any]) -> str:
    digests = f"code {entry['code'][:12]} counts as {entry['counts_as'][:12]}"
    return f"{digests}: {entry['reason']} ({entry['by']}, {entry['on']})"


def _command(argv: list[str]) -> str:
    words = ["…" if len(word) > 200 else word for word in argv]
    return " ".join([Path(words[0]).name, *words[1:]])


def _summary(steps: dict[str, Any], names: Iterable[str], indent: str, shown: set[str]) -> list[str]:
    """Many steps of one stage in a few lines, and what all of them were made from."""
    group = [steps[name] for name in names]
    shown.update(names)
    outputs = sorted(file["sha256"] for step in group for file in step["outputs"].values())
    size = sum(file["bytes"] for step in group for file in step["outputs"].values())
    digest = hashlib.sha256("\n".join(outputs).encode()).hexdigest()
    codes = ", ".join(sorted({step["code_digest"] for step in group}))
    common = set.intersection(*({f"{k} {v}" for k, v in flatten(step["params"]).items()} for step in group))
    lines = [
        f"{indent}└ {len(group)} × {group[0]['stage']}, {group[0]['job']} … {group[-1]['job']}",
        f"{indent}    params    {', '.join(sorted(common))} (the same for all)",
        f"{indent}    wrote     {size} bytes, sha256 over their sorted sha256 {digest}",
        f"{indent}    code      {len(group[0]['code'])} files, digest {codes}",
        f"{indent}    ran       {sum(step['seconds'] for step in group):.1f} s in all, on "
        + ", ".join(sorted({step["host"]["name"] for step in group})),
    ]
    below = list(dict.fromkeys(parent for step in group for parent in step["made_from"] if parent in steps))
    if len(below) > 1:
        return lines + _summary(steps, below, f"{indent}  ", shown)
    return lines + [line for name in below for line in _tree(steps, name, f"{indent}  ", shown)]
