"""The options of the command `robust3d`; `robust3d.cli` has what each command does."""

import argparse
import os
from pathlib import Path
from typing import Any

# Those of robust3d.models.normalisation, written out: every job imports this module, which is in no job's code closure.
NORMALISATIONS = ("imagenet", "half", "lite", "fractaldb")
_IMAGES = (
    ".npz with images (uint8, N×H×W×3) and labels, or a folder of pictures: test/CLASS/… or CLASS/…, or pictures "
    "without labels. Folders of an ImageNet classifier's classes have a synset id, an index or a name"
)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Of all commands; what it returns names its command by `function`."""
    main = argparse.ArgumentParser(prog="robust3d", description=description)
    commands = main.add_subparsers(required=True, metavar="COMMAND")

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
    run.set_defaults(function="run")

    publish = commands.add_parser("publish", help="copy a finished table or figure to its stable names")
    publish.add_argument("record", type=Path, help="of the job that made it")
    publish.add_argument("--output", nargs=2, action="append", required=True, metavar=("NAME", "FILE"))
    publish.set_defaults(function="publish")

    check = commands.add_parser("check", help="check a configuration and this machine")
    check.add_argument("overlays", nargs="*", type=expanded, help="the same as --configfile, before it")
    _study_options(check)
    check.set_defaults(function="check")

    doctor = commands.add_parser("doctor", help="check project, disk and cluster before a long run")
    _study_options(doctor)
    doctor.add_argument("--quick", action="store_true", help="skip the test render, the GPU and the test jobs")
    doctor.add_argument(
        "--wait", type=int, default=60, metavar="SECONDS", help="longest wait in the queue for each test job"
    )
    doctor.add_argument("--json", action="store_true", help="as JSON")
    doctor.set_defaults(function="doctor")

    plan = commands.add_parser("plan", help="what a target would run, what it would reuse, and why")
    plan.add_argument("target", nargs="*", default=["results/table4.csv"], help="tables and figures")
    _study_options(plan)
    plan.add_argument("--full", action="store_true", help="every job and every cause")
    plan.set_defaults(function="plan")

    status = commands.add_parser("status", help="what is done, what runs, and for how long the rest will take")
    status.add_argument("target", nargs="*", help="tables and figures; none: those of the run at work")
    _study_options(status)
    status.set_defaults(function="status")

    why = commands.add_parser("why", help="trace a cell back to the meshes")
    why.add_argument("table", type=expanded, help="results/table4.csv, say")
    why.add_argument("--row", required=True, help="label of the row as printed")
    why.add_argument("--column", required=True, help="label of the column as printed")
    why.add_argument("--full", action="store_true", help="every parameter, hash and command")
    why.add_argument("--json", action="store_true", help="machine-readable output")
    why.set_defaults(function="why")

    verify = commands.add_parser("verify", help="rehash the files behind the results and compare them with the records")
    verify.add_argument("target", nargs="*", help="tables, figures or other results; everything if left out")
    _study_options(verify)
    verify.add_argument("--recompute", type=int, metavar="N", help="run N recorded jobs again, the cheapest first")
    verify.add_argument("--stage", action="append", metavar="STAGE", help="with --recompute: only jobs of this stage")
    verify.add_argument("--full", action="store_true", help="a line for each finding")
    verify.set_defaults(function="verify")

    diff = commands.add_parser("diff", help="the first difference between two results folders, and its kind")
    diff.add_argument("a", type=expanded, help="a results folder, or a file in one")
    diff.add_argument("b", type=expanded)
    diff.add_argument("--cell", nargs=3, metavar=("TABLE", "ROW", "COLUMN"), help="table4, 'Linf 8/255', AT")
    diff.set_defaults(function="diff")

    export = commands.add_parser("export", help="a Workflow Run RO-Crate of a table or figure")
    export.add_argument("target", help="results/table4.csv, say")
    export.add_argument("--crate", type=expanded, required=True, help="folder to write, new or empty")
    export.add_argument(
        "--with-data", action="store_true", help="include the big files, which are otherwise named by their hash"
    )
    export.set_defaults(function="export")

    site = commands.add_parser("site", help="a static site of all that is built, in results/site/")
    site.add_argument(
        "--serve",
        nargs="?",
        type=int,
        const=0,
        metavar="PORT",
        help="show it to this machine's browser until Ctrl-C; without PORT at a free one",
    )
    _study_options(site)
    site.set_defaults(function="site")

    collect = commands.add_parser("gc", help="list, or delete, what no current target needs")
    collect.add_argument(
        "--keep",
        action="append",
        default=[],
        type=expanded,
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
    collect.set_defaults(function="gc")

    accept = commands.add_parser("accept", help="declare that a code change does not affect existing results")
    accept.add_argument("rule", help="name of the stage")
    accept.add_argument("--reason", required=True, help="why no result can differ; it is shown with every such result")
    accept.add_argument(
        "--code",
        action="append",
        default=[],
        metavar="DIGEST",
        help="beginning of the digest of the code that is meant, where jobs of several exist; may be repeated",
    )
    _study_options(accept)
    accept.set_defaults(function="accept")

    export_views = commands.add_parser("export-views", help="write a family's views in DVR's or SRN's layout")
    export_views.add_argument("family", help="a key of families")
    export_views.add_argument("--format", choices=("dvr", "srn"), required=True)
    export_views.add_argument("--out", type=expanded, required=True, help="folder to write, new or empty")
    _study_options(export_views)
    export_views.set_defaults(function="export_views")

    export_images = commands.add_parser("export-images", help="write an image set as PNGs in folders (ImageFolder)")
    export_images.add_argument("set", help="a key of sets, of any kind")
    export_images.add_argument("--out", type=expanded, required=True, help="folder to write, new or empty")
    _study_options(export_images)
    export_images.set_defaults(function="export_images")

    check_views = commands.add_parser("check-views", help="check views of your own in DVR's or SRN's layout")
    check_views.add_argument("folder", type=expanded, help="a data set, a class of it, or one object")
    check_views.add_argument("--objects", type=int, default=24, help="how many objects to check, evenly spaced")
    check_views.set_defaults(function="check_views")

    voxelise = commands.add_parser("voxelise", help="make volumes of meshes of your own: OFF, OBJ, PLY, glTF")
    voxelise.add_argument("folder", type=expanded, help="of meshes, or with a folder of meshes for each class")
    voxelise.add_argument("--out", type=expanded, required=True, help="file of volumes to write, such as voxels.h5")
    voxelise.add_argument("--resolution", type=int, default=32, metavar="R", help="side of the grid")
    voxelise.add_argument("--object-voxels", type=int, metavar="N", help="that the longest side spans; default: R")
    voxelise.add_argument(
        "--rotations", type=int, default=1, metavar="N", help="volumes of each mesh about its vertical"
    )
    voxelise.add_argument(
        "--up", choices=("y", "z"), default="y", help="axis that points up in the meshes; ModelNet: z"
    )
    voxelise.set_defaults(function="voxelise")

    depth = commands.add_parser("depth", help="depth maps of photographs by a model on disk; needs transformers")
    depth.add_argument("pictures", type=expanded, help="folder; pictures may lie in folders below it")
    depth.add_argument("--model", type=expanded, required=True, help="folder with config.json and model.safetensors")
    depth.add_argument("--out", type=expanded, required=True, help="folder of the maps; those that are there stay")
    depth.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    depth.set_defaults(function="depth")

    download = commands.add_parser("download", help="download the DTD textures or ImageNet weights")
    download.add_argument("name", help="dtd, or an architecture with published weights")
    download.add_argument("--to", type=expanded, default=Path("resources"), help="folder")
    download.add_argument("--marker", type=expanded, help="a file to write at the end that says what was fetched")
    download.set_defaults(function="download")

    add_evaluate(commands).set_defaults(function="evaluate")
    add_probe(commands).set_defaults(function="probe")
    return main


def expanded(text: str) -> Path:
    """A path as a person types it: the shell leaves the ~ of `--images=~/a.npz` to us."""
    return Path(os.path.expanduser(text))


def _study_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", metavar="NAME", help="an overlay of workflow/scales, as `--config scale=NAME`")
    parser.add_argument("--objects", metavar="NAME", help="other objects, as `--config objects=NAME`")
    parser.add_argument(
        "--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="values, as for snakemake"
    )
    parser.add_argument(
        "--configfile",
        action="append",
        default=[],
        type=expanded,
        metavar="OVERLAY",
        help="an overlay over config.yaml and the scale, as for snakemake; may be repeated",
    )


def add_evaluate(commands: Any) -> argparse.ArgumentParser:
    """The command `evaluate`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate", help="AutoAttack against an ImageNet classifier or your own checkpoint"
    )
    _add_shared(parser)
    parser.add_argument("--norm", choices=("Linf", "L2"), default="Linf")
    parser.add_argument("--epsilon", nargs="+", default=["8/255"], help="budgets, ascending; fractions allowed")
    parser.add_argument("--backend", choices=("own", "pyautoattack"), default="own")
    parser.add_argument("--batch-size", type=int, metavar="N", help="changes speed and memory only")
    parser.add_argument("--json", action="store_true", help="as JSON on stdout, all else on stderr")
    parser.add_argument("--outcomes", type=expanded, help="write per-image outcomes to this Parquet file")
    return parser


def add_probe(commands: Any) -> argparse.ArgumentParser:
    """The command `probe`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "probe", help="any probe on an ImageNet classifier or your own checkpoint, such as cue_conflict"
    )
    _add_shared(parser)
    parser.add_argument("--probe", required=True, metavar="NAME", help="a module in src/robust3d/probes")
    parser.add_argument("--params", nargs="+", default=[], metavar="KEY=VALUE", help="of the probe (docs/probes.md)")
    parser.add_argument("--out", type=expanded, metavar="DIR", help="new folder for metrics.json and outcomes.parquet")
    return parser


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint",
        type=expanded,
        help="efficientnet_lite0, or another architecture whose ImageNet weights are here; or the state of a network: "
        ".safetensors, .pth or .pt",
    )
    parser.add_argument(
        "--architecture",
        metavar="NAME",
        help="of a file, as in the configuration: vit, or {name: vit, params: {patch_px: 8}}",
    )
    parser.add_argument("--images", type=expanded, required=True, help=_IMAGES)
    parser.add_argument("--resolution", type=int, metavar="PX", help="side to which pictures of a folder are cut")
    parser.add_argument("--resize", type=int, metavar="PX", help="to which their shorter side is scaled before")
    parser.add_argument("--normalisation", choices=NORMALISATIONS, help="default: the weights'")
