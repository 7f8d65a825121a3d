"""A cell's lineage on one screen: what it says, then its steps by stage with the parameters that matter.

`why --full` prints every hash, parameter and command, `--json` the same as JSON.
"""

import textwrap
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from robust3d import registry
from robust3d.parsing import parse
from robust3d.provenance.changes import flatten
from robust3d.study.stages import STAGES
from robust3d.tables import words

LINES, WIDTH = 40, 112
_INDENT = 13


def brief(answer: dict[str, Any]) -> str:
    """What `why` answers, on at most `LINES` lines of `WIDTH` characters.

    Args:
        answer: of `robust3d.provenance.why.why`.
    """
    title = f"{answer['table']} of study {answer['study']!r}: {answer['row']} · {answer['column']}"
    head = [_cut(title), *_said(answer)]
    groups = _by_stage(answer["steps"].values())
    foot = [*_where(answer["steps"].values()), _more(answer["steps"].values())]
    caveats = [
        *_sentences("flag", answer.get("flags") or []),
        *_sentences("accepted", _acceptances(answer["steps"].values())),
    ]
    for most in (2, 1, 0):  # lines of parameters a stage, so that at least four lines of flags have room
        chain = [line for group in groups for line in _stage_lines(group, most)]
        room = LINES - len(head) - len(chain) - len(foot)
        if room >= min(len(caveats), 4):
            break
    if len(caveats) > room:
        caveats = [*caveats[: room - 1], f"{'':{_INDENT}}… {len(caveats) - room + 1} more lines with --full"]
    return "\n".join([*head, *caveats, *chain, *foot])


def _line(name: str, text: str) -> str:
    return _cut(f"  {name:<{_INDENT - 2}}{text}")


def _cut(line: str, width: int = WIDTH) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _sentences(name: str, texts: Iterable[str]) -> list[str]:
    """Sentences, wrapped, each once."""
    lines: list[str] = []
    for text in dict.fromkeys(texts):
        first = f"  {name:<{_INDENT - 2}}"
        lines += textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * _INDENT)
    return lines


# --- what the cell says ---------------------------------------------------------------------------------------------


def _said(answer: dict[str, Any]) -> list[str]:
    unit = f" {answer['unit']}" if answer.get("unit") else ""
    scale = 100 if answer.get("unit") in words.OF_SHARES else 1  # intervals and the like are shares
    value = f"{answer['text']}{unit}" + (f" of {answer['n']} images" if answer.get("n") else "")
    for key in ("clean_accuracy", "unshifted_accuracy", "chance"):
        if isinstance(answer.get(key), int | float):
            value += f", {key.removesuffix('_accuracy')} {scale * answer[key]:.1f}"
    lines = [_line("value", value)]
    interval = answer.get("interval") or {}
    if bounds := words.interval(interval, answer.get("unit")):
        lines.append(_line("interval", f"{bounds}{unit} ({interval.get('kind')})"))
    for apart in words.differences(answer):
        to = "" if apart.to is None else f"to {apart.to} "
        kind = "" if apart.kind is None else f"; {apart.kind}"
        text = f"{to}{apart.value}, {apart.bounds or 'no interval'}: {apart.verdict}{kind}"
        lines += _sentences("difference", [text])
    if printed := answer.get("printed"):
        judged = "comparable" if printed.get("comparable") else "not comparable"
        lines.append(_line("printed", f"{printed.get('value')} for {printed.get('row')} in the paper: {judged}"))
    lines.append(_line("formula", str(answer.get("formula"))))
    if sources := answer.get("sources"):
        more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
        place = _cut(f"{sources[0]['file']} {sources[0]['pointer']}", WIDTH - _INDENT - len(more))
        lines.append(_line("read from", place + more))
    return lines


# --- the chain ------------------------------------------------------------------------------------------------------


def _by_stage(steps: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Steps of one stage together: seeds, classes, blocks; from the metrics back to the meshes."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for step in steps:
        which = str(step["params"].get(step["stage"]))  # AutoAttack or the shift test, both of them probes
        groups.setdefault((step["stage"], which), []).insert(0, step)  # they come users first, so the first seed last
    return list(groups.values())


def _stage_lines(group: list[dict[str, Any]], most: int) -> list[str]:
    """What ran, when and for how long in all; then at most `most` lines of its parameters."""
    first, number = group[0], len(group)
    what = first["job"] if number == 1 else f"{number} jobs, {first['job'].rpartition('-')[0]} …"
    started = sorted(str(step["started"])[:16].replace("T", " ") for step in group)
    until = started[-1].removeprefix(started[0][:10]).strip()
    when = started[0] if started[0] == started[-1] else f"{started[0]} … {until}"
    copied = sum(bool(step["reused"]) for step in group)
    note = "" if not copied else ", copied" if number == 1 else f", {copied} copied"
    left = _cut(f"{first['stage']:<18} {what}", WIDTH - 50)
    duration = _duration(sum(step["seconds"] for step in group))
    return [_cut(f"{left:<{WIDTH - 50}}  {when}, {duration}{note}"), *_wrapped(_facts(group), most)]


def _facts(group: list[dict[str, Any]]) -> Iterator[str]:
    """`key value` of the parameters that matter; values that differ between the steps side by side."""
    flat = [flatten(step["params"]) for step in group]
    keys = list(dict.fromkeys(key for params in flat for key in params if key))
    patterns = _matters(group[0]["stage"]).split()
    attacked = any(_trains_against(step["params"]) for step in group)
    wanted = dict.fromkeys(key for pattern in patterns for key in keys if fnmatchcase(key, pattern))
    for key in wanted:
        if key.startswith("classifier.attack.") and not attacked:
            continue  # a parameter that is not used
        values = list(dict.fromkeys(_value(key, params) for params in flat if params.get(key) not in (None, {}, [])))
        if values and len(values) <= 4:
            yield f"{_name(key)} {' | '.join(values)}"
        elif values:
            yield f"{len(values)} values of {_name(key)}"


def _trains_against(params: dict[str, Any]) -> bool:
    """Whether a classifier's training attacks its images; a training that is not there any more may have."""
    classifier = params.get("classifier") or {}
    try:
        training = registry.load("training", classifier["objective"])
        return parse(training.Params, classifier).trained_against is not None
    except (KeyError, TypeError, ValueError):
        return True


def _matters(stage: str) -> str:
    """Patterns of the parameters to show; all of a stage that an older record names."""
    return STAGES[stage].matters if stage in STAGES else "*"


def _name(key: str) -> str:
    """The key without what its stage says already."""
    for block in ("params.", "loop.", "classifier.", "cameras.", "render.", "shapes.", "textures.", "source."):
        key = key.removeprefix(block)
    return key.replace(".kind", "")


def _value(key: str, params: dict[str, Any]) -> str:
    value = params[key]
    return f"[{', '.join(map(_number, value))}]" if isinstance(value, list) else _number(value)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wrapped(facts: Iterable[str], most: int) -> list[str]:
    """So many lines of facts, whole facts only."""
    lines: list[str] = []
    for fact in facts:
        fact = _cut(fact, 60)
        if lines and len(lines[-1]) + len(fact) + 2 <= WIDTH - 3:
            lines[-1] += f", {fact}"
        elif len(lines) < most:
            lines = [*lines[:-1], *(f"{line}," for line in lines[-1:]), f"    {fact}"]
        else:
            return [*lines[:-1], *(f"{line}, …" for line in lines[-1:])]
    return lines


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


# --- where it ran ---------------------------------------------------------------------------------------------------


def _where(steps: Iterable[dict[str, Any]]) -> list[str]:
    """The machines, each with its stages where there are several; three lines at most."""
    stages: dict[str, list[str]] = {}
    for step in steps:
        stages.setdefault(_host(step), []).append(step["stage"])
    if len(stages) == 1:
        return [_line("ran on", next(iter(stages)))]
    lines = [f"{host}: {', '.join(dict.fromkeys(names))}" for host, names in stages.items()]
    if len(lines) > 3:
        lines = [*lines[:2], f"… {len(lines) - 2} more machines with --full"]
    return [_line("ran on" if number == 0 else "", line) for number, line in enumerate(lines)]


def _host(step: dict[str, Any]) -> str:
    host = step["host"]
    processor, instructions = host.get("processor"), host.get("instruction_set")
    if isinstance(instructions, dict):
        found = ", ".join(dict.fromkeys(str(value) for value in instructions.values() if value))
        processor = f"{processor or 'processor unknown'}, {found}" if found else processor
    name = f"{host['name']} ({processor})" if processor else str(host["name"])
    return f"{name}, {host.get('gpu') or 'no GPU'}, Python {step['python']}"


def _acceptances(steps: Iterable[dict[str, Any]]) -> list[str]:
    return [
        f"code change of {step['stage']}: {entry['reason']} ({entry['by']}, {entry['on']})"
        for step in steps
        for entry in step["accepted"]
    ]


def _more(steps: Iterable[dict[str, Any]]) -> str:
    found = list(steps)
    code = {code["file"] for step in found for code in step["code"].values()}
    locks = sorted({str(step["lock"])[:12] for step in found})
    files = f"{len(code)} code file{'s' if len(code) != 1 else ''}"
    text = f"{_duration(sum(step['seconds'] for step in found))} in all, {files}, lock {', '.join(locks)}"
    return _cut(f"{text}; --full: every parameter, hash and command")
