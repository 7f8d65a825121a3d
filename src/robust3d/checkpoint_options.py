"""The options of the commands that take a classifier and images of the user's: `evaluate` and `probe`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

_IMAGES = (
    ".npz with images (uint8, N×H×W×3) and labels, or a folder of pictures: test/CLASS/… or CLASS/…, or pictures "
    "without labels. Folders of an ImageNet classifier's classes have a synset id, an index or a name"
)


def add_evaluate(commands: Any, path: Callable[[str], Path]) -> argparse.ArgumentParser:
    """The command `evaluate`; `path` reads a path as a person types it."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate", help="AutoAttack against an ImageNet classifier or your own checkpoint"
    )
    _add_shared(parser, path)
    parser.add_argument("--norm", choices=("Linf", "L2"), default="Linf")
    parser.add_argument("--epsilon", nargs="+", default=["8/255"], help="budgets, ascending; fractions allowed")
    parser.add_argument("--backend", choices=("own", "pyautoattack"), default="own")
    parser.add_argument("--batch-size", type=int, metavar="N", help="changes speed and memory only")
    parser.add_argument("--json", action="store_true", help="as JSON on stdout, all else on stderr")
    parser.add_argument("--outcomes", type=path, help="write per-image outcomes to this Parquet file")
    return parser


def add_probe(commands: Any, path: Callable[[str], Path]) -> argparse.ArgumentParser:
    """The command `probe`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "probe", help="any probe on an ImageNet classifier or your own checkpoint, such as cue_conflict"
    )
    _add_shared(parser, path)
    parser.add_argument("--probe", required=True, metavar="NAME", help="a module in src/robust3d/probes")
    parser.add_argument("--params", nargs="+", default=[], metavar="KEY=VALUE", help="of the probe (docs/probes.md)")
    parser.add_argument("--out", type=path, metavar="DIR", help="new folder for metrics.json and outcomes.parquet")
    return parser


def _add_shared(parser: argparse.ArgumentParser, path: Callable[[str], Path]) -> None:
    parser.add_argument(
        "checkpoint",
        type=path,
        help="efficientnet_lite0, or another architecture whose ImageNet weights are here; or the state of a network: "
        ".safetensors, .pth or .pt",
    )
    parser.add_argument(
        "--architecture",
        metavar="NAME",
        help="of a file, as in the configuration: vit, or {name: vit, params: {patch_px: 8}}",
    )
    parser.add_argument("--images", type=path, required=True, help=_IMAGES)
    parser.add_argument("--resolution", type=int, metavar="PX", help="side to which pictures of a folder are cut")
    parser.add_argument("--resize", type=int, metavar="PX", help="to which their shorter side is scaled before")
    parser.add_argument("--normalisation", choices=("imagenet", "half", "lite"), help="default: the weights'")
