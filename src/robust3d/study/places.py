"""Paths of the project's own files: in the working directory, else in the checkout of the running code.

So `snakemake --directory DIR`, and a workflow that takes this one as a module, find lock, scales and default
configuration, and may have their own.
"""

from pathlib import Path

from robust3d.errors import UserError

_CHECKOUT = Path(__file__).parents[3]


def own_file(name: str) -> Path:
    """A file or folder of the project, by its path from the root; if there is none, the path itself."""
    here, there = Path(name), _CHECKOUT / name
    return there if there.exists() and not here.exists() else here


def shipped_file(name: str) -> Path:
    """A file of the checkout of the running code, whatever the working directory has."""
    return _CHECKOUT / name


def configuration() -> Path:
    """The first layer of the study here; the checkout's only if results were made here without another."""
    return own_file("config.yaml") if Path("results").is_dir() else Path("config.yaml")


def scale_file(name: object) -> Path:
    """The overlay of a scale.

    Raises:
        UserError: there is none of that name; the message lists the existing ones.
    """
    folder = own_file("workflow/scales")
    known = sorted(path.stem for path in folder.glob("[!.]*.yaml"))
    if name not in known:
        raise UserError(f"scale: there is no {name!r}; {folder} has {', '.join(known) or 'none'}")
    return folder / f"{name}.yaml"


def objects_files(name: object, scale: object) -> list[Path]:
    """The overlays of other objects: that of the default study, then the one of a scale.

    Raises:
        UserError: there are none of that name, or none for the scale; the message lists those that there are.
    """
    folder = own_file("workflow/objects")
    known = sorted(path.name for path in folder.glob("[!.]*/"))
    if name not in known:
        raise UserError(f"objects: there is no {name!r}; {folder} has {', '.join(known) or 'none'}")
    files = [folder / str(name) / f"{part}.yaml" for part in ("default", scale) if part is not None]
    if not files[-1].exists():
        raise UserError(f"objects: {files[-1]} is not there; write it, with sizes for scale {scale}")
    return files
