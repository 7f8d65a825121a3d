"""Who made the published objects that a result rests on: what their licences want to be said wherever it is shown."""

from robust3d.data.published.inventory import SOURCES, Credit
from robust3d.data.published.members import read_inventory
from robust3d.provenance.lineage import Lineage, Step

_LINKS = (  # what catalogues call a licence, the longest first, and where its text is
    ("Creative Commons Attribution 3.0 United States", "https://creativecommons.org/licenses/by/3.0/us/"),
    ("Creative Commons Attribution 3.0", "https://creativecommons.org/licenses/by/3.0/"),
    ("Public domain", "https://creativecommons.org/publicdomain/zero/1.0/"),
)


def attribution(lineage: Lineage, step: Step) -> str:
    """Objects, creators and licences, by collection; empty if none of the objects behind a result has any to name.

    Raises:
        UserError: an inventory among the jobs behind it is missing or damaged.
    """
    credits: dict[str, set[Credit]] = {}
    for made in lineage.ancestors(step):
        if made.stage != "inventory":
            continue
        inventory = read_inventory(lineage.locate(made.outputs["inventory"].path))
        found = {entry.credit for entries in inventory.classes.values() for entry in entries.values() if entry.credit}
        if found:
            credits.setdefault(inventory.layout, set()).update(found)
    return "\n".join(_told(layout, credits[layout]) for layout in sorted(credits))


def _told(layout: str, credits: set[Credit]) -> str:
    source = SOURCES[layout]
    lines = [
        f"This rests on objects of {source.name}, {source.origin}.",
        "They were turned upright, scaled and rendered, and parts of them are hidden or put before other backgrounds.",
    ]
    for collection, licence in sorted({(credit.collection, credit.licence) for credit in credits}):
        link = next((f" ({link})" for name, link in _LINKS if licence.startswith(name)), "")
        lines += ["", f"{collection}: {licence or 'no licence given'}{link}"]
        mine = [credit for credit in credits if (credit.collection, credit.licence) == (collection, licence)]
        for creator in sorted({credit.creator for credit in mine}):
            names = sorted({credit.name for credit in mine if credit.creator == creator})
            lines.append(f"  {creator or 'creator not given'}: {', '.join(names)}")
    return "\n".join(lines) + "\n"
