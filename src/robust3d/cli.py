"""The command `robust3d`: run one job of the workflow, check a configuration, evaluate a checkpoint."""

import argparse
import sys
from pathlib import Path

from robust3d.errors import UserError


def main() -> None:
    """Entry point; a user's mistake ends in one message and exit code 2."""
    arguments = _parser().parse_args()
    try:
        arguments.function(arguments)
    except UserError as error:
        print(f"robust3d: {error}", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="robust3d", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run one job, as the workflow does")
    run.add_argument("stage")
    run.add_argument("--job", required=True, help="the job's folder name")
    run.add_argument("--spec", required=True, help="canonical JSON: parameters, code digest, packages")
    run.add_argument("--threads", type=int, default=1)
    run.add_argument("--input", nargs="+", action="append", default=[], metavar=("NAME", "FILE"))
    run.add_argument("--output", nargs=2, action="append", default=[], metavar=("NAME", "FILE"))
    run.set_defaults(function=_run)

    check = commands.add_parser("check", help="check a configuration and this machine")
    check.add_argument("overlays", nargs="*", type=Path, help="laid over config.yaml, later ones over earlier ones")
    check.set_defaults(function=_check)

    evaluate = commands.add_parser("evaluate", help="AutoAttack against a checkpoint of your own")
    evaluate.add_argument("checkpoint", type=Path, help="torchvision ResNet-18 state: .safetensors, .pth or .pt")
    evaluate.add_argument("--images", type=Path, required=True, help=".npz with images (uint8, N×H×W×3) and labels")
    evaluate.add_argument("--norm", choices=("Linf", "L2"), default="Linf")
    evaluate.add_argument("--epsilon", nargs="+", default=["8/255"], help="budgets, ascending; fractions allowed")
    evaluate.add_argument("--backend", choices=("own", "pyautoattack"), default="own")
    evaluate.add_argument("--normalisation", choices=("imagenet", "half"), default="imagenet")
    evaluate.add_argument("--outcomes", type=Path, help="write per-image outcomes to this Parquet file")
    evaluate.set_defaults(function=_evaluate)
    return parser


def _run(arguments: argparse.Namespace) -> None:
    from robust3d.provenance import runner

    runner.exit_on_sigterm()
    inputs = {name: [Path(file) for file in files] for name, *files in arguments.input}
    outputs = {name: Path(file) for name, file in arguments.output}
    runner.run(arguments.spec, arguments.job, inputs, outputs, arguments.threads, sys.argv)


def _check(arguments: argparse.Namespace) -> None:
    from robust3d.rendering.system import check_system_libraries
    from robust3d.study.config import read_study

    study = read_study([Path("config.yaml"), *arguments.overlays])
    check_system_libraries()
    print(f"study {study.study!r}: the configuration is sound and Blender's system libraries are there")


def _evaluate(arguments: argparse.Namespace) -> None:
    from robust3d.evaluate import evaluate_checkpoint

    evaluate_checkpoint(arguments)


if __name__ == "__main__":
    main()
