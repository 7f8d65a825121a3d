"""Parameters of published data sets on the user's disk; light enough for a dry run."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from robust3d.data.params import BlankPolicy
from robust3d.params import Params as Base
from robust3d.params import PathText

SYNSETS = {
    "airplane": "02691156",
    "bench": "02828884",
    "cabinet": "02933112",
    "car": "02958343",
    "chair": "03001627",
    "display": "03211117",
    "lamp": "03636649",
    "loudspeaker": "03691459",
    "rifle": "04090263",
    "sofa": "04256520",
    "table": "04379243",
    "telephone": "04401088",
    "vessel": "04530566",
}
"""WordNet ids of ShapeNet's thirteen classes that 3D reconstruction papers use, in their usual order."""

MODELNET10 = (
    "bathtub",
    "bed",
    "chair",
    "desk",
    "dresser",
    "monitor",
    "night_stand",
    "sofa",
    "table",
    "toilet",
)


Materials = Literal["published", "grey"]
"""What meshes from disk look like: as published, or all in one grey, for questions about shape alone."""


REAL_OBJECTS = (
    "table",
    "chair",
    "sofa",
    "bed",
    "lamp",
    "cabinet",
    "door",
    "window",
    "plant",
    "tree",
    "car",
    "person",
    "bottle",
    "cup",
)
"""Classes of Sweet Home 3D's catalogues that have a list in the project."""


class PublishedParams(Base):
    """Parameters of every layout."""

    path: PathText = Field(min_length=1)  # folder of the unpacked data set
    classes: tuple[str, ...] = Field(min_length=1)  # in label order
    instances: int | None = Field(default=None, ge=1)  # first so many of each class (and published split) by id
    shards: int = Field(default=8, ge=1)  # files of ours a class; changes no pixel
    missing: Literal["error", "skip"] = "error"  # what to do about objects that the lists name but the disk lacks

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len({SYNSETS.get(name, name) for name in classes}) < len(classes):
            raise ValueError("a class is named twice (by its word and its id, such as car and 02958343, counts too)")
        if bad := [name for name in classes if not name or "/" in name or "\0" in name or name.startswith(".")]:
            raise ValueError(f"{bad[0]!r} cannot be the name of a class and its folder")
        return classes


class NMRParams(PublishedParams):
    """Images of ShapeNet objects in DVR's layout: NMR_Dataset.zip, ShapeNet.zip, or one's own in that layout."""

    classes: tuple[str, ...] = Field(default=tuple(SYNSETS), min_length=1)  # names of SYNSETS, or of folders
    split: Literal["softras", "choy", "random"] = "softras"  # lists softras_*.lst | *.lst (3D-R2N2) | none
    views: int = Field(default=24, ge=1)  # of each object; fewer than are there: evenly spaced ones
    # Views without a pixel of the object, or of anything else: end there, take others in their place (or leave the
    # object out where too few are left), or take them as they are. Cells say what was found.
    blank_views: BlankPolicy = "skip"


class SRNParams(PublishedParams):
    """Images in the layout of Scene Representation Networks: cars and chairs; folders <class>_{train,val,test}."""

    classes: tuple[str, ...] = Field(default=("cars", "chairs"), min_length=1)
    views: int | None = Field(default=None, ge=1)  # as for NMR; None: all, which may differ from split to split
    blank_views: BlankPolicy = "skip"  # as for NMR; the published sets have such views: pictures that are all white


class MeshParams(PublishedParams):
    """What is asked of meshes: how they look here."""

    # Colours, materials and pictures as published (what cannot be read is flagged in every cell), or all in one grey,
    # for questions about shape alone.
    materials: Materials = "published"
    texture_px: int = Field(1024, ge=8, le=8192)  # longest side of a picture on a mesh; larger ones are scaled down
    # Polygons that cross themselves: leave the mesh out by name, or cut them as most programs do; flagged in the cells.
    crossed: Literal["error", "fan"] = "error"

    @property
    def look(self) -> dict[str, Any]:
        """These as `robust3d.data.published.meshes.read_mesh_in` takes them."""
        return {"materials": self.materials, "texture_px": self.texture_px, "crossed": self.crossed}


class ShapeNetCoreParams(MeshParams):
    """Meshes of ShapeNetCore, version 1 or 2."""

    classes: tuple[str, ...] = Field(default=tuple(SYNSETS), min_length=1)  # names of SYNSETS, or synset ids


class ModelNetParams(MeshParams):
    """Meshes of ModelNet10 or ModelNet40, or one's own in that layout."""

    classes: tuple[str, ...] = Field(default=MODELNET10, min_length=1)
    format: Literal["off", "ply", "glb", "gltf"] = "off"  # of the files; ModelNet's is off
    up: Literal["y", "z"] = "z"  # axis that points up in the files: ModelNet's is z; that of glTF, if left out, y

    @model_validator(mode="after")
    def _up_of_the_format(self) -> "ModelNetParams":
        """The glTF 2.0 specification, 3.4, fixes the axis."""
        if "up" not in self.model_fields_set and self.format in ("glb", "gltf"):
            object.__setattr__(self, "up", "y")  # not before the checks: they would read lists as Python's, no tuples
        return self


class SweetHome3DParams(MeshParams):
    """Real objects of Sweet Home 3D's catalogues; classes are lists of objects."""

    path: PathText = Field(default="/usr/share/sweethome3d/furniture", min_length=1)  # where Debian's package puts them
    classes: tuple[str, ...] = Field(default=REAL_OBJECTS, min_length=1)  # names of lists, in label order
    lists: dict[str, PathText] = Field(default_factory=dict)  # files of your own by class, in place of the project's
    shards: int = Field(default=1, ge=1)
    size: Literal["normalised", "metric"] = "normalised"  # each as large as fits; metric: all in one scale
    cube_m: float = Field(default=3.0, gt=0)  # metric: side of the cube, into which every object must fit
    crossed: Literal["error", "fan"] = "fan"  # one object in eight has such polygons, a few of thousands

    @model_validator(mode="after")
    def _lists_of_classes(self) -> "SweetHome3DParams":
        if unknown := [name for name in self.lists if name not in self.classes]:
            raise ValueError(f"lists.{unknown[0]}: no such class among classes")
        return self
