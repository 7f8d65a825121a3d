"""The command `robust3d`: run a job, plan, audit, compare and export results, check views, evaluate a checkpoint."""

import argparse
import io
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust3d.command_line import parser
from robust3d.errors import UserError
from robust3d.study.numerics import all_cores, one_thread

if TYPE_CHECKING:
    from robust3d.study.config import Study


def main() -> None:
    """Entry point; a user's mistake ends in one message and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names and signs that the terminal's encoding lacks
    given = _from_file(sys.argv[1:])
    arguments = parser(__doc__).parse_args(given)
    arguments.command = ["robust3d", *given]
    # Before anything loads numpy or torch. AutoAttack may have all cores: it takes long, and is started one at a time.
    all_cores() if arguments.function in ("evaluate", "probe") else one_thread()
    try:
        COMMANDS[arguments.function](arguments)
        sys.stdout.flush()
    except UserError as error:
        print(f"robust3d: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        if arguments.function in ("run", "publish"):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # a reader such as `head` has seen enough
        sys.exit(1)
    except PermissionError as error:
        print(f"robust3d: {error.filename or error}: no permission; ask its owner for access", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        if arguments.function in ("run", "publish"):
            raise
        print("robust3d: interrupted", file=sys.stderr)
        sys.exit(130)  # 128 and the number of SIGINT, as a shell says it


def _from_file(given: list[str]) -> list[str]:
    """The command line with `@FILE` of `robust3d run` replaced by that file's lines, a word each.

    A line of the shell holds 128 kB and all of it 2 MB: fewer than the files of a large study.
    """
    if given[:1] != ["run"]:
        return given
    words: list[str] = []
    for word in given:
        try:
            text = Path(word[1:]).read_text(encoding="utf-8") if word.startswith("@") else word
            words += text.removesuffix("\n").split("\n") if word.startswith("@") else [word]
        except (OSError, UnicodeDecodeError) as error:
            print(f"robust3d: {word[1:]}: cannot be read: {error}", file=sys.stderr)
            sys.exit(2)
    return words


def _chosen(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values of the command line."""
    from robust3d.study.reading import command_line

    named = {key: getattr(arguments, key) for key in ("scale", "objects")}
    return command_line(arguments.config) | {key: name for key, name in named.items() if name is not None}


def _study(overlays: list[Path], chosen: dict[str, Any]) -> "Study":
    """The study that `snakemake --config CHOSEN --configfile OVERLAYS` makes."""
    from robust3d.study.places import configuration
    from robust3d.study.reading import read_study

    return read_study([configuration(), *overlays], chosen)


def _run(arguments: argparse.Namespace) -> None:
    from robust3d.study.numerics import pin

    pin(json.loads(arguments.spec).get("numerics", {}))  # before anything loads numpy or torch
    from robust3d.provenance import runner

    runner.exit_on_sigterm()
    inputs = {name: [Path(file) for file in files] for name, *files in arguments.input}
    outputs = {name: Path(file) for name, file in arguments.output}
    shared, apart = arguments.store, arguments.apart
    runner.run(arguments.spec, arguments.job, inputs, outputs, arguments.threads, arguments.command, shared, apart)


def _publish(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.published import publish

    publish(arguments.record, {name: Path(file) for name, file in arguments.output})


def _check(arguments: argparse.Namespace) -> None:
    from robust3d.rendering.system import check_system_libraries

    study = _study(arguments.overlays + arguments.configfile, _chosen(arguments))
    check_system_libraries()
    print(f"study {study.study!r}: the configuration is valid and Blender's system libraries are installed")


def _doctor(arguments: argparse.Namespace) -> None:
    from robust3d.doctor import examine
    from robust3d.doctor.findings import as_json, tell

    findings = list(examine(arguments.configfile, arguments.quick, arguments.wait, chosen=_chosen(arguments)))
    print(json.dumps(as_json(findings), indent=1, ensure_ascii=False) if arguments.json else tell(findings))
    if any(finding.state == "PROBLEM" for finding in findings):
        sys.exit(1)


def _plan(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.plan import tell_plan

    print(tell_plan(arguments.target, _study(arguments.configfile, _chosen(arguments)), arguments.full))


def _status(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.status import tell_status

    study = _study(arguments.configfile, _chosen(arguments)) if arguments.target else None
    print(tell_status(arguments.target, study))


def _why(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.brief import brief
    from robust3d.provenance.why import as_text, why

    answer = why(arguments.table, arguments.row, arguments.column)
    if arguments.json:
        print(json.dumps(answer, indent=1, ensure_ascii=False))
    else:
        print(as_text(answer) if arguments.full else brief(answer))


def _verify(arguments: argparse.Namespace) -> None:
    if arguments.recompute is not None or arguments.stage:
        _recompute(arguments)
        return
    from robust3d.provenance.verify import tell, verify

    findings = verify(arguments.target, _study(arguments.configfile, _chosen(arguments)))
    print(tell(findings, arguments.full))
    if any(finding.is_bad for finding in findings):
        sys.exit(1)


def _recompute(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.recompute import recompute, tell
    from robust3d.provenance.runner import exit_on_sigterm

    exit_on_sigterm()
    count = 1 if arguments.recompute is None else arguments.recompute
    repeated = recompute(count, arguments.target, arguments.stage or ())
    print(tell(repeated))
    if not repeated.is_good:
        sys.exit(1)


def _diff(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.diff import diff, tell

    differences = diff(arguments.a, arguments.b, arguments.cell)
    print(tell(differences))
    if differences:
        sys.exit(1)


def _export(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.crate import export_crate

    export_crate(arguments.target, arguments.crate, arguments.with_data)


def _site(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.site import build_site
    from robust3d.provenance.site.serve import serve
    from robust3d.study.places import configuration

    study = _study(arguments.configfile, _chosen(arguments)) if configuration().exists() else None
    page = build_site(states=_states(study) if study is not None else None)
    if arguments.serve is None:
        print(f"open {page}")
    else:
        serve(page.parent, arguments.serve)


def _states(study: "Study") -> dict[str, str]:
    """What keeps each target of all papers from being that of the study; empty: nothing."""
    from robust3d.provenance.published import wrong
    from robust3d.study.plan import Plan
    from robust3d.study.targets import every_target

    plan, found = Plan(study), {}
    for name in every_target():
        try:
            found[name] = wrong(plan.target(name))
        except UserError as error:  # data that a user has to download, say
            found[name] = str(error)
    return found


def _gc(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.collect import collect

    kept = {"config.yaml": _study([], {})}
    kept |= {str(overlay): _study([overlay], {}) for overlay in arguments.keep}
    kept |= {f"scale {scale}": _study([], {"scale": scale}) for scale in arguments.scale}
    print(collect(kept, arguments.delete))


def _accept(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.accept import accept

    study = _study(arguments.configfile, _chosen(arguments))
    print(accept(arguments.rule, arguments.reason, study, arguments.code))


def _export_views(arguments: argparse.Namespace) -> None:
    from robust3d.data.manifest import Views
    from robust3d.data.published.export import export_views
    from robust3d.study.plan import Plan

    study = _study(arguments.configfile, _chosen(arguments))
    if arguments.family not in study.families:
        raise UserError(f"{arguments.family}: no such family; there are {', '.join(sorted(study.families))}")
    manifest = Path(Plan(study).index_views(arguments.family).output("manifest"))
    if not manifest.is_file():
        command = _first_run([manifest], arguments)
        raise UserError(f"family {arguments.family!r} is not rendered yet; first run: {command}")
    notes: list[str] = []
    objects = export_views(Views.read(manifest), arguments.out, arguments.format, note=notes.append)
    summary = "; ".join([f"{objects} objects of {arguments.family}", *notes])
    print(f"{arguments.out}: {summary}; `robust3d check-views {arguments.out}` checks them")


def _first_run(paths: list[Path], arguments: argparse.Namespace) -> str:
    """The command that makes files of the study of a command line."""
    named = [f"{key}={name}" for key, name in _chosen(arguments).items()]
    scale = ["--config", *named] if named else []
    overlays = ["--configfile", *map(str, arguments.configfile)] if arguments.configfile else []
    return shlex.join(["snakemake", *map(str, paths), *scale, *overlays])


def _export_images(arguments: argparse.Namespace) -> None:
    from robust3d.data.published.image_folder import export_images
    from robust3d.study.jobs import canonical_json
    from robust3d.study.plan import Plan

    study = _study(arguments.configfile, _chosen(arguments))
    if arguments.set not in study.sets:
        raise UserError(f"{arguments.set}: no such set; there are {', '.join(sorted(study.sets))}")
    plan = Plan(study)
    found = plan.set_inputs(arguments.set)[0]
    inputs = {kind: [Path(job.output(output)) for job, output in files] for kind, files in found.items()}
    if missing := [path for files in inputs.values() for path in files if not path.is_file()]:
        raise UserError(f"set {arguments.set!r} is not made yet; first run: {_first_run(missing, arguments)}")
    params = json.loads(canonical_json(plan.set_params(arguments.set)))
    print(f"{arguments.out}: {export_images(params, inputs, arguments.out):,} pictures of {arguments.set}")


def _check_views(arguments: argparse.Namespace) -> None:
    from robust3d.data.published.check import check_views

    report = check_views(arguments.folder, arguments.objects)
    print(report.text())
    if not report.ok:
        sys.exit(1)


def _voxelise(arguments: argparse.Namespace) -> None:
    from robust3d.data.own_volumes import voxelise_folder

    grid = {name: getattr(arguments, name) for name in ("resolution", "object_voxels", "rotations")}
    print(voxelise_folder(arguments.folder, arguments.out, arguments.up, **grid))


def _depth(arguments: argparse.Namespace) -> None:
    from robust3d.evaluate.depth_models import write_depth_maps

    written, source = write_depth_maps(arguments.model, arguments.pictures, arguments.out, arguments.device)
    print(f"{arguments.out}: {written:,} new depth maps; of a set: depth: {{path: {arguments.out}, source: {source}}}")


def _download(arguments: argparse.Namespace) -> None:
    from robust3d.data.published.download import download

    print(download(arguments.name, arguments.to, arguments.marker))


def _evaluate(arguments: argparse.Namespace) -> None:
    from robust3d.evaluate import evaluate_checkpoint

    evaluate_checkpoint(arguments)


def _probe(arguments: argparse.Namespace) -> None:
    from robust3d.evaluate.probing import probe_checkpoint

    probe_checkpoint(arguments)


COMMANDS = {
    "run": _run,
    "publish": _publish,
    "check": _check,
    "doctor": _doctor,
    "plan": _plan,
    "status": _status,
    "why": _why,
    "verify": _verify,
    "diff": _diff,
    "export": _export,
    "site": _site,
    "gc": _gc,
    "accept": _accept,
    "export_views": _export_views,
    "export_images": _export_images,
    "check_views": _check_views,
    "voxelise": _voxelise,
    "depth": _depth,
    "download": _download,
    "evaluate": _evaluate,
    "probe": _probe,
}


if __name__ == "__main__":
    main()
