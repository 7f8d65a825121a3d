"""Real objects of Sweet Home 3D's catalogues, rendered here."""

from robust3d.data.published.members import extent
from robust3d.data.published.params import SweetHome3DParams as Params
from robust3d.data.published.sweethome3d.objects import read_mesh, take_inventory

__all__ = ["SOURCE", "SPLIT_MODES", "Params", "extent", "only", "read_mesh", "take_inventory"]
SOURCE = "meshes"
SPLIT_MODES = ("orbit",)  # random would put twins on both sides of a split


def only(params: Params, class_name: str) -> Params:
    """The parameters that one class depends on."""
    lists = {name: path for name, path in params.lists.items() if name == class_name}
    return params.model_copy(update={"classes": (class_name,), "lists": lists})
