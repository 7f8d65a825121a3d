"""Reads the configuration, for Snakemake and `robust3d` alike.

Layers, later over earlier: the papers' own files, `config.yaml`, the overlay of the scale, those of other objects, the
user's overlays, values of the command line.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

from robust3d.errors import UserError
from robust3d.parsing import parse
from robust3d.study.config import Study
from robust3d.study.like import merge, resolve_likes
from robust3d.study.places import objects_files, scale_file
from robust3d.study.targets import paper_files
from robust3d.study.yaml_text import check_plain, parse_yaml

_LARGEST_FILE = 1 << 20  # bytes of one configuration file
SECTIONS = tuple(name for name, field in Study.model_fields.items() if get_origin(field.annotation) is dict)


def read_yaml(path: Path) -> dict[str, Any]:
    """One configuration file.

    Raises:
        UserError: missing, unreadable, not a mapping, or with values that YAML would misread.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UserError(f"{path}: {path.stat().st_size:,} bytes are too many for a configuration")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such configuration file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8; save it as one") from None
    return parse_yaml(text, str(path))


def read_papers() -> dict[str, Any]:
    """Content of the papers' own files: the section of each paper, and entries that it adds to shared sections.

    Raises:
        UserError: a file sets a key that is not a section with entries, the section of another paper, or an entry that
            another paper's file also defines.
    """
    values: dict[str, Any] = {}
    places: dict[str, Path] = {}
    for paper, path in paper_files().items():
        for section, entries in read_yaml(path).items():
            if section not in SECTIONS or not isinstance(entries, Mapping):
                raise UserError(f"{path}: {section}: a paper's file only adds entries to {', '.join(SECTIONS)}")
            for entry in entries:
                key = f"{section}.{entry}"
                if section == "papers" and entry != paper:
                    raise UserError(
                        f"{path}: {key}: this file belongs to the paper {paper!r}; remove the other section"
                    )
                if places.setdefault(key, path) != path:
                    raise UserError(f"{path}: {key}: {places[key]} defines it too; choose another name")
            values = merge(values, {section: entries})
    return values


def command_line(entries: Sequence[str]) -> dict[str, Any]:
    """The values of `--config KEY=VALUE …`: each is read like a line `KEY: VALUE` of a configuration file.

    Raises:
        UserError: names the entry that is no pair of key and value, as a target after them is, or not YAML.
    """
    values: dict[str, Any] = {}
    for entry in entries:
        key, sign, value = entry.partition("=")
        if not sign or not key:
            raise UserError(f"--config {entry}: expected KEY=VALUE; name targets before --config")
        values = merge(values, parse_yaml(f"{key}: {value}", f"--config {entry}"))
    return values


def load_study(values: Mapping[str, Any]) -> Study:
    """The checked study of merged layers.

    Raises:
        UserError: names every wrong key and the allowed values.
    """
    try:
        return parse(Study, resolve_likes(values))
    except ValueError as error:
        raise UserError(f"the configuration is wrong:\n{_indent(str(error))}") from None


def read_study(paths: Sequence[Path], given: Mapping[str, Any] | None = None) -> Study:
    """The study of `snakemake` and `robust3d`.

    Args:
        paths: `config.yaml`, then overlays; later ones override earlier ones.
        given: values of the command line; they override all files.

    The files of the papers (`read_papers`) are the lowest layer. The key `scale`, in any of `paths` or in `given`,
    names an overlay of `workflow/scales`, which is merged directly after `config.yaml`; `objects` names a folder of
    `workflow/objects`, whose overlays (`default`, and the scale's) follow. The last mention counts; null means none.

    Raises:
        UserError: a file, the name of a scale or of objects, or a key is wrong.
    """
    layers = [read_papers(), *(read_yaml(path) for path in paths)]
    if given:
        check_plain(dict(given), "--config")
        layers.append(dict(given))
    scale, objects = (_last(layers, key) for key in ("scale", "objects"))
    overlays = [scale_file(scale)] if scale is not None else []
    overlays += objects_files(objects, scale) if objects is not None else []
    layers[2:2] = [read_yaml(path) for path in overlays]
    values: dict[str, Any] = {}
    for layer in layers:
        values = merge(values, layer)
    return load_study(values)


def _last(layers: Sequence[dict[str, Any]], key: str) -> Any:
    """Take a key out of all layers: its last value, or None."""
    return [None, *(layer.pop(key) for layer in layers if key in layer)][-1]


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
