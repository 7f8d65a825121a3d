"""The objects that stand behind Tables 3 and 4, as a person sees them, class by class; no figure of the paper.

Under `objects=real` every object of every list, with its name and id, so that lists can be checked by eye.
"""

import textwrap
from typing import TYPE_CHECKING, Any

from robust3d.figures.galleries import WHITE

if TYPE_CHECKING:
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

COLUMNS = 10
_LETTERS = 30  # of a line of a label, a little more than a picture is wide
_NOTE_LETTERS = 250


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: the views of the family of `papers.geon3d.objects`, and its inventory where it is read from disk."""
    inputs, bulk = plan.views(section.objects)
    inventory = plan.index_views(section.objects).inputs.get("inventory", ())
    return {"study": plan.study.study}, {**inputs, "inventory": inventory}, bulk


def write(job: "Context") -> None:
    """Write the picture: the first view of each object on white, each class in rows of its own."""
    import numpy as np  # planning imports this module and needs none of these

    from robust3d.data.compositing import compose
    from robust3d.data.manifest import Views
    from robust3d.data.pictures import sheet
    from robust3d.data.published.members import read_inventory

    views = Views.read(job.input("views"))
    frames = views.frames(list(views.splits))
    words = _words(read_inventory(job.input("inventory"))) if job.inputs.get("inventory") else {}
    rows, row_labels, cell_labels = [], [], []
    for name in views.classes:
        found = np.flatnonzero((frames.class_name == name) & (frames.view == frames.view.min()))
        found = found[np.argsort(frames.instance[found])]
        for start in range(0, len(found), COLUMNS):
            shown = found[start : start + COLUMNS]
            rows.append([compose(frames.rgba[index], WHITE) for index in shown])
            row_labels.append("" if start else f"{name}\n{len(found)} objects")
            cell_labels.append([words.get(key, str(key)) for key in frames.instance[shown]])
    note = "\n".join(textwrap.fill(notice, _NOTE_LETTERS) for notice in views.notices())
    sheet(rows, row_labels=row_labels, cell_labels=cell_labels, note=note).save(job.outputs["picture"], "PNG")


def _words(inventory: Any) -> dict[str, str]:
    """What stands below an object, by its name in the family: its name, id and group of twins in the lists."""
    from robust3d.data.published.members import name_of

    found = {}
    for class_name, entries in inventory.classes.items():
        for key, entry in entries.items():
            collection, hash_sign, number = key.rpartition("#")
            parts = [entry.credit.name] if entry.credit else []
            parts += [collection + hash_sign, number, f"twins: {entry.group}" if entry.group else ""]
            lines = [textwrap.fill(line, _LETTERS) for line in parts if line]
            found[name_of(class_name, key)] = "\n".join(lines)
    return found
