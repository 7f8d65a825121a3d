"""The command `robust3d`: run a job, plan, audit, compare and export results, check views, evaluate a checkpoint."""

import argparse
import io
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

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
    arguments = _parser().parse_args(given)
    arguments.command = ["robust3d", *given]
    # Before anything loads numpy or torch. AutoAttack may have all cores: it takes long, and is started one at a time.
    all_cores() if arguments.function is _evaluate else one_thread()
    try:
        arguments.function(arguments)
        sys.stdout.flush()
    except UserError as error:
        print(f"robust3d: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        if arguments.function in (_run, _publish):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # a reader such as `head` has seen enough
        sys.exit(1)
    except PermissionError as error:
        print(f"robust3d: {error.filename or error}: no permission; ask its owner for access", file=sys.stderr)
        sys.exit(2)


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="robust3d", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run", help="run one job, as the workflow does", epilog="@FILE stands for the words of a file, one a line."
    )
    run.add_argument("--job", required=True, help="the job's folder name")
    run.add_argument("--spec", required=True, help="canonical JSON: parameters, code digest, packages")
    run.add_argument("--threads", type=int, default=1)
    run.add_argument("--input", nargs="+", action="append", default=[], metavar=("NAME", "FILE"))
    run.add_argument("--output", nargs=2, action="append", default=[], metavar=("NAME", "FILE"))
    run.add_argument("--store", type=Path, help="folder of finished jobs that several checkouts or users share")
    run.add_argument(
        "--apart", type=Path, help="compute the job even if it is finished already, and write only to this folder"
    )
    run.set_defaults(function=_run)

    publish = commands.add_parser("publish", help="copy a finished table or figure to its stable names")
    publish.add_argument("record", type=Path, help="of the job that made it")
    publish.add_argument("--output", nargs=2, action="append", required=True, metavar=("NAME", "FILE"))
    publish.set_defaults(function=_publish)

    check = commands.add_parser("check", help="check a configuration and this machine")
    check.add_argument("overlays", nargs="*", type=_path, help="the same as --configfile, before it")
    _study_options(check)
    check.set_defaults(function=_check)

    doctor = commands.add_parser("doctor", help="check project, disk and cluster before a long run")
    _study_options(doctor)
    doctor.add_argument("--quick", action="store_true", help="skip the test render, the GPU and the test jobs")
    doctor.add_argument(
        "--wait", type=int, default=60, metavar="SECONDS", help="longest wait in the queue for each test job"
    )
    doctor.add_argument("--json", action="store_true", help="as JSON")
    doctor.set_defaults(function=_doctor)

    plan = commands.add_parser("plan", help="what a target would run, what it would reuse, and why")
    plan.add_argument("target", nargs="*", default=["results/table4.csv"], help="tables and figures")
    _study_options(plan)
    plan.add_argument("--full", action="store_true", help="every job and every cause")
    plan.set_defaults(function=_plan)

    why = commands.add_parser("why", help="trace a cell back to the meshes")
    why.add_argument("table", type=_path, help="results/table4.csv, say")
    why.add_argument("--row", required=True, help="label of the row as printed")
    why.add_argument("--column", required=True, help="label of the column as printed")
    why.add_argument("--full", action="store_true", help="every parameter, hash and command")
    why.add_argument("--json", action="store_true", help="machine-readable output")
    why.set_defaults(function=_why)

    verify = commands.add_parser("verify", help="rehash the files behind the results and compare them with the records")
    verify.add_argument("target", nargs="*", help="tables, figures or other results; everything if left out")
    _study_options(verify)
    verify.add_argument("--recompute", type=int, metavar="N", help="run N recorded jobs again, the cheapest first")
    verify.add_argument("--stage", action="append", metavar="STAGE", help="with --recompute: only jobs of this stage")
    verify.add_argument("--full", action="store_true", help="a line for each finding")
    verify.set_defaults(function=_verify)

    diff = commands.add_parser("diff", help="the first difference between two results folders, and its kind")
    diff.add_argument("a", type=_path, help="a results folder, or a file in one")
    diff.add_argument("b", type=_path)
    diff.add_argument("--cell", nargs=3, metavar=("TABLE", "ROW", "COLUMN"), help="table4, 'Linf 8/255', AT")
    diff.set_defaults(function=_diff)

    export = commands.add_parser("export", help="a Workflow Run RO-Crate of a table or figure")
    export.add_argument("target", help="results/table4.csv, say")
    export.add_argument("--crate", type=_path, required=True, help="folder to write, new or empty")
    export.add_argument(
        "--with-data", action="store_true", help="include the big files, which are otherwise named by their hash"
    )
    export.set_defaults(function=_export)

    site = commands.add_parser("site", help="a static site of all that is built, in results/site/")
    site.set_defaults(function=_site)

    collect = commands.add_parser("gc", help="list, or delete, what no current target needs")
    collect.add_argument(
        "--keep",
        action="append",
        default=[],
        type=_path,
        metavar="OVERLAY",
        help="an overlay of config.yaml whose study is kept as well; may be repeated",
    )
    collect.add_argument(
        "--scale",
        action="append",
        default=[],
        metavar="NAME",
        help="a scale whose study is kept as well; may be repeated",
    )
    collect.add_argument("--delete", action="store_true", help="delete it; otherwise it is only listed")
    collect.set_defaults(function=_gc)

    accept = commands.add_parser("accept", help="declare that a code change does not affect existing results")
    accept.add_argument("rule", help="name of the stage")
    accept.add_argument("--reason", required=True, help="why no result can differ; it is shown with every such result")
    _study_options(accept)
    accept.set_defaults(function=_accept)

    export_views = commands.add_parser("export-views", help="write a family's views in DVR's or SRN's layout")
    export_views.add_argument("family", help="a key of families")
    export_views.add_argument("--format", choices=("dvr", "srn"), required=True)
    export_views.add_argument("--out", type=_path, required=True, help="folder to write, new or empty")
    _study_options(export_views)
    export_views.set_defaults(function=_export_views)

    check_views = commands.add_parser("check-views", help="check views of your own in DVR's or SRN's layout")
    check_views.add_argument("folder", type=_path, help="a data set, a class of it, or one object")
    check_views.add_argument("--objects", type=int, default=24, help="how many objects to check, evenly spaced")
    check_views.set_defaults(function=_check_views)

    voxelise = commands.add_parser("voxelise", help="make volumes of meshes of your own: OFF, OBJ, PLY, glTF")
    voxelise.add_argument("folder", type=_path, help="of meshes, or with a folder of meshes for each class")
    voxelise.add_argument("--out", type=_path, required=True, help="file of volumes to write, such as voxels.h5")
    voxelise.add_argument("--resolution", type=int, default=32, metavar="R", help="side of the grid")
    voxelise.add_argument("--object-voxels", type=int, metavar="N", help="that the longest side spans; default: R")
    voxelise.add_argument(
        "--rotations", type=int, default=1, metavar="N", help="volumes of each mesh about its vertical"
    )
    voxelise.add_argument(
        "--up", choices=("y", "z"), default="y", help="axis that points up in the meshes; ModelNet: z"
    )
    voxelise.set_defaults(function=_voxelise)

    download = commands.add_parser("download", help="download the DTD textures or ImageNet weights")
    download.add_argument("name", help="dtd, or an architecture with published weights")
    download.add_argument("--to", type=_path, default=Path("resources"), help="folder")
    download.add_argument("--marker", type=_path, help="a file to write at the end that says what was fetched")
    download.set_defaults(function=_download)

    evaluate = commands.add_parser("evaluate", help="AutoAttack against an ImageNet classifier or your own checkpoint")
    evaluate.add_argument(
        "checkpoint",
        type=_path,
        help="efficientnet_lite0, or another architecture whose ImageNet weights are here; or the state of a network: "
        ".safetensors, .pth or .pt",
    )
    evaluate.add_argument(
        "--architecture",
        metavar="NAME",
        help="of a file, as in the configuration: vit, or {name: vit, params: {patch_px: 8}}",
    )
    kinds = (
        ".npz with images (uint8, N×H×W×3) and labels, or a folder of pictures: test/CLASS/… or CLASS/…, or pictures "
        "without labels. Folders of an ImageNet classifier's classes have a synset id, an index or a name"
    )
    evaluate.add_argument("--images", type=_path, required=True, help=kinds)
    evaluate.add_argument("--resolution", type=int, metavar="PX", help="side to which pictures of a folder are cut")
    evaluate.add_argument("--resize", type=int, metavar="PX", help="to which their shorter side is scaled before")
    evaluate.add_argument("--norm", choices=("Linf", "L2"), default="Linf")
    evaluate.add_argument("--epsilon", nargs="+", default=["8/255"], help="budgets, ascending; fractions allowed")
    evaluate.add_argument("--backend", choices=("own", "pyautoattack"), default="own")
    evaluate.add_argument("--normalisation", choices=("imagenet", "half", "lite"), help="default: the weights'")
    evaluate.add_argument("--batch-size", type=int, metavar="N", help="changes speed and memory only")
    evaluate.add_argument("--json", action="store_true", help="as JSON on stdout, all else on stderr")
    evaluate.add_argument("--outcomes", type=_path, help="write per-image outcomes to this Parquet file")
    evaluate.set_defaults(function=_evaluate)
    return parser


def _path(text: str) -> Path:
    """A path as a person types it: the shell leaves the ~ of `--images=~/a.npz` to us."""
    return Path(os.path.expanduser(text))


def _study_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", metavar="NAME", help="an overlay of workflow/scales, as `--config scale=NAME`")
    parser.add_argument("--objects", metavar="NAME", help="other objects, as `--config objects=NAME`")
    parser.add_argument(
        "--configfile",
        action="append",
        default=[],
        type=_path,
        metavar="OVERLAY",
        help="an overlay over config.yaml and the scale, as for snakemake; may be repeated",
    )


def _chosen(arguments: argparse.Namespace) -> dict[str, str]:
    """The keys of the command line that name overlays of the project."""
    named = {key: getattr(arguments, key) for key in ("scale", "objects")}
    return {key: name for key, name in named.items() if name is not None}


def _study(overlays: list[Path], chosen: dict[str, str]) -> "Study":
    """The study that `snakemake --config scale=SCALE --configfile OVERLAYS` makes."""
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
    repeated = recompute(arguments.recompute or 1, arguments.target, arguments.stage or ())
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

    print(f"open {build_site()}")


def _gc(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.collect import collect

    kept = {"config.yaml": _study([], {})}
    kept |= {str(overlay): _study([overlay], {}) for overlay in arguments.keep}
    kept |= {f"scale {scale}": _study([], {"scale": scale}) for scale in arguments.scale}
    print(collect(kept, arguments.delete))


def _accept(arguments: argparse.Namespace) -> None:
    from robust3d.provenance.accept import accept

    print(accept(arguments.rule, arguments.reason, _study(arguments.configfile, _chosen(arguments))))


def _export_views(arguments: argparse.Namespace) -> None:
    from robust3d.data.manifest import Views
    from robust3d.data.published.export import export_views
    from robust3d.study.plan import Plan

    study = _study(arguments.configfile, _chosen(arguments))
    if arguments.family not in study.families:
        raise UserError(f"{arguments.family}: no such family; there are {', '.join(sorted(study.families))}")
    manifest = Path(Plan(study).index_views(arguments.family).output("manifest"))
    if not manifest.is_file():
        named = [f"{key}={name}" for key, name in _chosen(arguments).items()]
        scale = ["--config", *named] if named else []
        overlays = ["--configfile", *map(str, arguments.configfile)] if arguments.configfile else []
        command = shlex.join(["snakemake", str(manifest), *scale, *overlays])
        raise UserError(f"family {arguments.family!r} is not rendered yet; first run: {command}")
    notes: list[str] = []
    objects = export_views(Views.read(manifest), arguments.out, arguments.format, note=notes.append)
    summary = "; ".join([f"{objects} objects of {arguments.family}", *notes])
    print(f"{arguments.out}: {summary}; `robust3d check-views {arguments.out}` checks them")


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


def _download(arguments: argparse.Namespace) -> None:
    from robust3d.data.published.download import download

    print(download(arguments.name, arguments.to, arguments.marker))


def _evaluate(arguments: argparse.Namespace) -> None:
    from robust3d.evaluate import evaluate_checkpoint

    evaluate_checkpoint(arguments)


if __name__ == "__main__":
    main()
