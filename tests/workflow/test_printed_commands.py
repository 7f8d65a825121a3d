"""Every command that the pages print is tried, taken from their text: `TRIED` says how; one without an entry fails.

Fast: each is read by its own program's parser. Slow: dry runs of what takes long, the real thing where it is cheap.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from project import ROOT, Project

from robust3d import command_line

PROGRAMS = ("snakemake", "make", "robust3d", "python", "sh", "git", "conda")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "resources/README.md")]
PAGES += sorted(ROOT.glob("docs/**/*.md"))
COMMENTED = [ROOT / "config.yaml", ROOT / "Makefile", ROOT / "envs/robust3d.def"]
COMMENTED += [*sorted(ROOT.glob("workflow/scales/*.yaml")), *sorted(ROOT.glob("profiles/*/profile.yaml"))]
SCRIPTS = [ROOT / "workflow/demo.sh"]


# --- what the pages print -------------------------------------------------------------------------------------------


def code_lines(text: str) -> Iterator[str]:
    """The lines of fenced and of indented code blocks."""
    fenced, indented, before = False, False, ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            yield line
        else:
            indented = line.startswith("    ") and (indented or not before.strip())
            if indented:
                yield line
        before = line


def inline_code(text: str) -> Iterator[str]:
    without_blocks = re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M)
    return (" ".join(found.split()) for found in re.findall(r"`([^`]+)`", without_blocks))


def as_command(text: str) -> str | None:
    """The text of a command without prompt and remark; None if no known program is called."""
    text = re.sub(r"\s+#\s.*$", "", text.strip().removeprefix("$ "))
    return " ".join(text.split()) if text.split()[:1] and text.split()[0] in PROGRAMS else None


def printed() -> dict[str, str]:
    """Every printed command and the page that prints it."""
    found = {}
    for page in PAGES:
        text = page.read_text()
        found |= {command: page.name for command in map(as_command, [*code_lines(text), *inline_code(text)]) if command}
    for page in COMMENTED:
        remarks = "\n".join(re.findall(r"#\s?(.*)$", page.read_text(), flags=re.M))
        found |= {command: page.name for command in map(as_command, inline_code(remarks)) if command}
    for page in SCRIPTS:
        lines = [line for line in page.read_text().splitlines() if line.startswith("snakemake")]
        found |= {command: page.name for command in map(as_command, lines) if command}
    return found


def test_commands_are_found_wherever_they_stand():
    text = "Say `make\ntest` or `x`.\n\n    snakemake a.csv      # remark\n\nmake is a word\n    make no block\n\n"
    text += "```sh\n$ robust3d why a\n```\n"
    found = [command for command in map(as_command, [*code_lines(text), *inline_code(text)]) if command]
    assert found == ["snakemake a.csv", "robust3d why a", "make test"]
    assert {"make test", "snakemake results/table4.csv --config scale=gpu", "robust3d verify"} <= set(printed())


# --- how each is tried ----------------------------------------------------------------------------------------------

Trial = Callable[[str, Project], None]


def run(command: str, project: Project, folder: Path | None = None) -> str:
    told = subprocess.run(
        ["sh", "-c", command], cwd=folder or project.folder, env=project.environment, capture_output=True, text=True
    )
    assert told.returncode == 0, f"{command}\n{told.stdout[-2000:]}{told.stderr[-2000:]}"
    return told.stdout + told.stderr


def user_checkout(project: Project) -> Path:
    """A checkout without results, in which the user's own `my.yaml` lies."""
    checkout = project.folder.parent / "checkout"
    if not checkout.exists():
        checkout.mkdir()
        for path in ROOT.iterdir():
            if path.name not in {"results", "logs", ".snakemake", ".git"}:
                (checkout / path.name).symlink_to(path)
        (checkout / "my.yaml").write_text("training_seeds: [0, 1]\n")
    return checkout


def dry_run(command: str, project: Project) -> None:
    """Snakemake plans it."""
    assert "total" in run(f"{command} --dry-run", project, user_checkout(project))


def forced(command: str, project: Project) -> None:
    """The option alone, with the rule that it wants."""
    dry_run(command.replace("-R", "results/table1.csv -R tabulate"), project)


def loud(command: str, project: Project) -> None:
    """Without what silences it."""
    dry_run(command.replace(" --quiet all", ""), project)


def make_dry_run(command: str, project: Project) -> None:
    run(f"{command} --dry-run --assume-old .venv/.ready", project, ROOT)


def demo(command: str, project: Project) -> None:
    """Its tables are there already, but for the picture; then what it says of them."""
    make_dry_run(command, project)
    run("snakemake results/figure3.png --quiet all", project)  # its configuration is of that scale
    _, script = (ROOT / "workflow/demo.sh").read_text().split("<<'PYTHON'\n")
    told = run(f"python - <<'PYTHON'\n{script}", project)
    assert "One cell: " in told and "One picture: results/figure3.png" in told


def real(**replaced: str) -> Trial:
    """As it is, on finished tables; placeholders are replaced."""

    def trial(command: str, project: Project) -> None:
        words = [replaced.get(word, word) for word in shlex.split(command)]
        run(shlex.join(words), project)
        for made in ("made-by-a-command", "results/site"):  # other tests have the same tables
            shutil.rmtree(project.folder / made, ignore_errors=True)

    return trial


def nothing_to_accept(command: str, project: Project) -> None:
    words = ["pretrain" if word == "RULE" else word for word in shlex.split(command)]
    told = project.robust3d(*words[1:])
    assert told.returncode == 2 and "there is nothing to accept" in told.stderr


def export_views(command: str, project: Project) -> None:
    run(f"{command.replace('FAMILY', 'geons').replace('dvr|srn', 'srn').replace('DIR', 'views')}", project)
    run("robust3d check-views views", project)
    shutil.rmtree(project.folder / "views")


def evaluate(command: str, project: Project) -> None:
    import torch
    from safetensors.torch import save_file
    from torchvision.models import resnet18

    folder = project.folder.parent / "evaluate"
    folder.mkdir()
    torch.manual_seed(0)
    save_file(resnet18(num_classes=5).state_dict(), folder / "model.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    np.savez(folder / "test.npz", images=pixels, labels=np.arange(5))
    assert "5 images, 5 classes" in run(command, project, folder)


def evaluate_pictures(command: str, project: Project) -> None:
    from PIL import Image

    folder = project.folder.parent / "evaluate-pictures"
    (folder / "DIR/tench").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((300, 260)).save(folder / "DIR/tench/1.jpg")
    assert "1 images, 1000 classes, efficientnet_lite0" in run(command, project, folder)


def probe(command: str, project: Project) -> None:
    import torch
    from PIL import Image
    from safetensors.torch import save_file
    from torchvision.models import resnet50

    folder = project.folder.parent / "probe"
    if not folder.exists():
        (folder / "DIR/cat").mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((224, 224)).save(folder / "DIR/cat/cat1-dog2.png")
        torch.manual_seed(0)
        save_file(resnet50().state_dict(), folder / "model.safetensors")
    assert "neither" in run(command, project, folder)


def voxelise(command: str, project: Project) -> None:
    import trimesh

    folder = project.folder.parent / "voxelise"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("DIR", "meshes"):
        (folder / name).mkdir(parents=True)
        trimesh.creation.box().export(folder / name / "box.off")
    run(command, project, folder)
    assert (folder / "voxels.h5").exists()


def worktree(command: str, project: Project) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    clone = project.folder.parent / "clone"
    run(f"git clone -q {shlex.quote(str(ROOT))} {clone} && touch {clone}/cluster.yaml", project)
    run(f"{command} && test -f Snakefile && test -f cluster.yaml", project, clone)


def its_parser(command: str, project: Project) -> None:
    """Starts what nobody wants started in a test: its options are known."""
    program, *rest = shlex.split(command)
    told = run(f"{program} {rest[0]} --help", project, ROOT)
    assert all(word in told for word in rest[1:])


def conda_environment(command: str, project: Project) -> None:
    file = yaml.safe_load((ROOT / command.split()[-1]).read_text())
    assert file["dependencies"] and file["channels"]


def nothing(command: str, project: Project) -> None:
    """The name of a program, or tried elsewhere."""


TRIED: dict[str, Trial] = {
    "snakemake": dry_run,
    "snakemake --dry-run": lambda command, project: dry_run("snakemake", project),
    "snakemake results/table4.csv": dry_run,
    "snakemake results/table4.csv --config scale=gpu": dry_run,
    "snakemake results/table4.csv --configfile my.yaml": dry_run,
    "snakemake results/table4.csv --config 'classifiers={linf: {epochs: 9}}'": dry_run,
    "snakemake results/table4.csv results/figure3.png --config scale=test --quiet all": lambda command, project: (
        dry_run(command.removesuffix(" --quiet all"), project)
    ),
    "snakemake --workflow-profile profiles/slurm results/table4.csv": dry_run,
    "snakemake --workflow-profile profiles/slurm": dry_run,
    "snakemake figures": dry_run,
    "snakemake geon3d": dry_run,
    "snakemake shapebias": dry_run,
    "snakemake prior3d": dry_run,
    "snakemake winn3d": dry_run,
    "snakemake comparison": dry_run,
    "snakemake geon3d shapebias prior3d winn3d flatland": dry_run,
    "snakemake results/claims.csv": dry_run,
    "snakemake -n comparison geon3d tables shapebias prior3d winn3d flatland --config scale=paper": dry_run,
    "snakemake --workflow-profile profiles/slurm results/table4.csv --config scale=paper": dry_run,
    "snakemake results/shapebias/corruptions.csv": dry_run,
    "snakemake toy": nothing,  # test_new_paper.py
    "snakemake -n": lambda command, project: dry_run("snakemake", project),
    "snakemake views": dry_run,
    "snakemake download_dtd": dry_run,
    "snakemake download_resnet18": dry_run,
    "snakemake download_vit_base_patch14_dinov2": dry_run,
    "snakemake -R": forced,
    "snakemake --report report.html": real(),
    "make": make_dry_run,
    "make demo": demo,
    "make environment": make_dry_run,
    "make test": make_dry_run,
    "make test-all": make_dry_run,
    "make check": make_dry_run,
    "make lock": make_dry_run,
    "make benchmark": make_dry_run,
    "make results/table4.csv": make_dry_run,
    "make results/table4.csv SCALE=gpu": make_dry_run,
    "robust3d": nothing,
    "robust3d plan results/table4.csv": real(),
    "robust3d plan results/table4.csv --scale test --configfile my.yaml": lambda command, project: (
        run(command, project, user_checkout(project)) and None
    ),
    "snakemake results/table4.csv --config scale=test --configfile my.yaml": dry_run,
    "robust3d status": nothing,  # it wants a run at work: tests/provenance/test_status.py
    "robust3d status results/table4.csv --config scale=test": lambda command, project: (
        run(command, project, user_checkout(project)) and None
    ),
    "robust3d gc": real(),
    'robust3d accept RULE --reason "…"': nothing_to_accept,
    'robust3d why results/table4.csv --row "Linf 8/255" --column DVR+AT': real(),
    'robust3d why results/table4.csv --row "Linf 16/255" --column DVR+AT': real(**{"Linf 16/255": "Linf 8/255"}),
    "robust3d verify": real(),
    "robust3d verify --recompute 5": real(),
    "robust3d verify --scale test": lambda command, project: real()(command.removesuffix(" --scale test"), project),
    "robust3d verify --recompute 5 --scale test": real(),
    "robust3d diff A B": real(A="results", B="results"),
    "robust3d export results/table4.csv --crate DIR": real(DIR="made-by-a-command"),
    "make release": nothing,  # tests/papers/test_every_paper.py
    "robust3d site": real(),
    # The tables' project is at that scale already, by a configuration of its own.
    "robust3d site --scale test": lambda command, project: real()(command.removesuffix(" --scale test"), project),
    "robust3d site --serve": nothing,  # it waits for browsers: tests/browser/test_pages.py
    "robust3d evaluate model.safetensors --images test.npz --norm Linf --epsilon 4/255 8/255": evaluate,
    "robust3d evaluate efficientnet_lite0 --images DIR": evaluate_pictures,
    "robust3d evaluate": nothing,
    "robust3d probe": nothing,
    "robust3d probe model.safetensors --architecture resnet50 --probe cue_conflict --images DIR --resolution 224 "
    "--out found": probe,
    "robust3d probe efficientnet_lite0 --probe cue_conflict --images DIR --resolution 224": probe,
    "robust3d voxelise DIR --out voxels.h5": voxelise,
    "robust3d voxelise meshes/ --resolution 32 --out voxels.h5": voxelise,
    "robust3d depth": nothing,
    "robust3d depth PICTURES --model MODEL --out MAPS": nothing,  # needs transformers: tests/test_depth_models.py
    "robust3d check-views DIR": nothing,  # after export-views
    "robust3d export-images SET --out FOLDER": nothing,  # the next
    "robust3d export-images all_three --out FOLDER": nothing,  # of an overlay: tests/stages/test_synthetic_sets.py
    "snakemake flatland": dry_run,
    "snakemake results/flatland/curves.svg": dry_run,
    "snakemake results/flatland/transfer.csv": dry_run,
    "robust3d export-views FAMILY --format dvr --out DIR": export_views,
    "robust3d export-views FAMILY --format dvr|srn --out DIR": export_views,
    "robust3d doctor": lambda command, project: run(f"{command} --quick", project) and None,
    "robust3d doctor --scale paper --quick": nothing,  # data are missing here; tests/papers/test_paper_scale.py
    "python tests/cluster/slurm.py start --install": its_parser,
    "snakemake results/objects.png --config objects=real": dry_run,
    "snakemake results/objects.png --config objects=real "
    "'families={real_portraits: {shapes: {classes: [chair]}}}'": dry_run,
    "python docs/pictures/make.py": nothing,  # of results of hours
    "snakemake results/table4.csv results/table3.csv --config objects=real": dry_run,
    "python tests/gpu/prepare.py .gpu": lambda command, project: (
        run("python tests/gpu/prepare.py --help", project, ROOT) and None
    ),
    "git worktree add ../robust3d-run && cp cluster.yaml ../robust3d-run && cd ../robust3d-run": worktree,
    "conda env create -f envs/robust3d.yaml": conda_environment,
}


def test_every_printed_command_is_tried():
    unknown = {command: page for command, page in printed().items() if command not in TRIED}
    assert not unknown, "say in this file how each is tried"


# targets that are no files
NAMED = ("geon3d", "comparison", "shapebias", "prior3d", "winn3d", "flatland", "toy", "figures", "tables", "views")


def test_each_program_understands_what_is_printed(monkeypatch):
    """Options exist, and no option swallows a target: `--configfile X results/…` takes the table for a second file."""
    from snakemake.cli import parse_args

    monkeypatch.chdir(ROOT)
    for command in printed():
        program, *words = shlex.split(command)
        if program == "robust3d" and len(words) > 1:
            command_line.parser(None).parse_args([word.partition("|")[0] for word in words])
        elif program == "robust3d" and words:  # the name of a command, which may want arguments
            with pytest.raises(SystemExit, match="0"):
                command_line.parser(None).parse_args([*words, "--help"])
        if program == "snakemake" and command != "snakemake -R":
            _, parsed = parse_args(words)
            wanted = [word for word in words if word.startswith("results/") or word in NAMED]
            assert [*parsed.targets] == wanted or words[0].startswith("download"), command


SWALLOWED = re.compile(r"snakemake[^`\n]*\s--config(?:files?)?\s(?!(?:[^-`\n]*\s)?--\s)[^`\n]*\bresults/")


def test_no_text_puts_a_target_behind_an_option_that_swallows_it():
    for line in ("snakemake --configfile a.yaml results/table4.csv", "snakemake -n --config scale=gpu results/x.csv"):
        assert SWALLOWED.search(line)
    for line in ("snakemake results/table4.csv --configfile a.yaml", "snakemake --configfile a.yaml -- results/x.csv"):
        assert not SWALLOWED.search(line)
    texts = [*PAGES, *COMMENTED, *SCRIPTS, *ROOT.glob("src/**/*.py"), *ROOT.glob("workflow/**/*"), *ROOT.glob("envs/*")]
    found = {
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts
        if path.is_file() and path.suffix != ".lock"
        for match in SWALLOWED.finditer(path.read_text())
    }
    assert not found


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(printed()))
def test_a_printed_command_works(command, finished):
    TRIED[command](command, finished)
