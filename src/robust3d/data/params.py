"""Parameters of splits, textures, backgrounds and classification sets; imports nothing heavy, as planning needs it."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from robust3d.errors import UserError
from robust3d.params import Params as Base
from robust3d.params import PathText, distinct

PAPER_TEXTURES = (
    "zigzagged",
    "banded",
    "wrinkled",
    "striped",
    "grid",
    "polka-dotted",
    "chequered",
    "blotchy",
    "lacelike",
    "crystalline",
)
"""Texture of class 0, 1, …, 9 in the paper's correlated data set (appendix D, "Background textures")."""

SPLITS = ("train", "val", "test")

SplitName = Literal["train", "val", "test"]
BlankPolicy = Literal["error", "skip", "keep"]
"""What becomes of views without a pixel of the object, or of anything else: see `robust3d.data.blank`."""
BackgroundKind = Literal["black", "white", "textured", "correlated", "shifted"]
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class SplitParams(Base):
    """How instance ids are divided; the same ids for every class (paper §3 "Rendering and data splits")."""

    ratio: tuple[PositiveInt, PositiveInt, PositiveInt] = (8, 1, 1)  # train : val : test (paper §3)
    mode: Literal["random", "orbit", "published"] = "random"  # paper: random; orbit keeps near-duplicates in one part;
    # published: the split of a data set on disk; the ratio is ignored
    parts: Annotated[tuple[SplitName, ...], Field(min_length=1)] | None = None  # of a built family, only objects of
    # these are rendered, such as the same test objects in other light; none: all


class TextureParams(Base):
    """The texture images that backgrounds are cropped from (paper §5.1: ten categories of DTD)."""

    source: Literal["procedural", "dtd"] = "procedural"  # procedural: stand-in; dtd: the real data set from disk
    path: PathText | None = None  # folder of the real DTD (holds images/); only for source: dtd
    classes: Names = PAPER_TEXTURES  # texture classes, DTD's names (paper appendix D)
    images_per_class: Annotated[int, Field(ge=2)] = 40  # train and test together; DTD has 120
    resolution_px: Annotated[int, Field(ge=8)] = 96  # side of a stored texture; backgrounds are crops of it
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.25  # of images_per_class, used for test images only

    _classes = field_validator("classes")(distinct)

    @model_validator(mode="after")
    def _path_goes_with_dtd(self) -> "TextureParams":
        if (self.source == "dtd") != (self.path is not None):
            raise ValueError("path names the folder of the real DTD: give it with source: dtd and only then")
        return self

    def test_images(self) -> int:
        """Number of test images per class: the rounded fraction, with at least one image in each part."""
        return min(max(round(self.images_per_class * self.test_fraction), 1), self.images_per_class - 1)


class BackgroundParams(Base):
    """Background of the object (paper §5: black, random texture, correlated with the class, shifted)."""

    kind: BackgroundKind = "black"
    mapping: Names | None = None  # texture of class 0, 1, …; null: the paper's map (appendix D)

    @property
    def needs_textures(self) -> bool:
        """Whether the background is a texture rather than plain grey."""
        return self.kind not in ("black", "white")

    def texture_of_class(self, classes: int) -> tuple[str, ...]:
        """Names of the textures behind class 0, 1, … for the kinds `correlated` and `shifted`.

        `shifted` gives the texture of class i to class i + 1 modulo the number of classes, which is the
        second map printed in the paper's appendix D.

        Args:
            classes: number of classes K of the set.

        Returns:
            K texture names.

        Raises:
            UserError: the map does not cover the K classes, or a class keeps its texture when shifted.
        """
        names = PAPER_TEXTURES[:classes] if self.mapping is None else self.mapping
        if len(names) != classes:
            source = "the paper's map" if self.mapping is None else "the map"
            raise UserError(
                f"background.mapping: {source} names {len(names)} textures for {classes} classes; "
                "list one texture name per class, in label order"
            )
        if self.kind != "shifted":
            return names
        shifted = names[-1:] + names[:-1]
        kept = [i for i in range(classes) if shifted[i] == names[i]]
        if kept:
            raise UserError(
                f"background.mapping: shifted, class {kept[0]} keeps its texture {names[kept[0]]!r}; "
                "give neighbouring classes (the last and the first too) different textures"
            )
        return shifted


def equal_counts(wanted: int, key: str, split: SplitName, classes: int, available: int) -> tuple[int, ...]:
    """Images of class 0, 1, … in one split, equal up to one if the number does not divide.

    Args:
        wanted: total number.
        key: its configuration key, for messages.
        split: of the set.
        classes: number of classes K.
        available: existing images of the smallest class in the split.

    Raises:
        UserError: fewer images than classes, or more than exist.
    """
    key = f"{key}[{SPLITS.index(split)}] ({split})"
    if wanted < classes:
        raise UserError(f"{key}: {wanted} images leave some of {classes} classes empty; ask for {classes} or more")
    if wanted > classes * available:
        raise UserError(
            f"{key}: {wanted} images asked, but the split has no more than {classes * available} in equal shares "
            f"({available} of the smallest of {classes} classes); ask for at most {classes * available}, "
            "or provide more images"
        )
    return tuple(wanted // classes + (label < wanted % classes) for label in range(classes))


class ChangeParams(Base):
    """One thing that differs from the usual pictures of the same views: see `robust3d.data.changes`."""

    size: float | None = Field(None, gt=0, le=1)  # of the objects, times their own, about the image's middle
    pan_px: float | None = Field(None, gt=0)  # the camera turns during the exposure, by so many pixels
    zoom: float | None = Field(None, gt=1)  # the focal length grows during the exposure, up to so many times
    focus: Literal["near", "far"] | None = None  # what of each object, and of the background behind it, is sharp
    blur_px: float = Field(2.0, gt=0)  # focus: diameter of the blur at the other end of the object

    @model_validator(mode="after")
    def _one(self) -> "ChangeParams":
        given = [name for name in ("size", "pan_px", "zoom", "focus") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of size, pan_px, zoom, focus at a time, got {' and '.join(given) or 'none'}")
        return self


class SetParams(Base):
    """A fixed-size classification set drawn inside the splits (paper §5: 10,000/1,000/1,000 images)."""

    kind: str = "views"  # the module in robust3d.imagesets
    images: tuple[PositiveInt, PositiveInt, PositiveInt] = (10_000, 1_000, 1_000)  # train, val, test
    background: BackgroundParams = BackgroundParams()  # of the images
    change: ChangeParams | None = None  # for tests: one thing that is otherwise than in the renders
    label_order: Names | None = None  # class names by label, not stated in the paper; null: the family's order

    _label_order = field_validator("label_order")(distinct)

    @property
    def needs_textures(self) -> bool:
        """Whether its images show textures."""
        return self.background.needs_textures

    def counts(self, split: SplitName, classes: int, available: int) -> tuple[int, ...]:
        """Images of class 0, 1, … in one split: see `equal_counts`; `available` is instances times views."""
        return equal_counts(self.images[SPLITS.index(split)], "set.images", split, classes, available)

    def labels(self, family: tuple[str, ...]) -> tuple[str, ...]:
        """Class names in label order: `label_order`, which may omit classes, else the family's.

        Raises:
            UserError: a name that the family does not have.
        """
        return ordered_labels(self.label_order, family)


class CuedSetParams(SetParams):
    """A set of views of painted objects: see `robust3d.imagesets.cue_conflict`."""

    kind: str = "cue_conflict"
    shows: Literal["both", "shape", "texture"] = "both"  # shape: objects as rendered; texture: without any
    # Share of images whose object has the texture of its own class; the others have that of any other class.
    validity: float = Field(1.0, ge=0, le=1)
    mapping: Names | None = None  # texture of class 0, 1, …; none: the study's textures in their order

    _mapping = field_validator("mapping")(distinct)

    @property
    def needs_textures(self) -> bool:
        """Whether its images show textures: its table says of which class they are."""
        return True


class FlatSetParams(SetParams):
    """A set of views that are moved about in the picture's plane: see `robust3d.imagesets.flatworld`."""

    kind: str = "flatworld"
    copies: int = Field(1, ge=1)  # pictures of each view, each moved at random
    flips: bool = True  # left-right and upside down, with even chances
    rotation_deg: float = Field(180.0, ge=0, le=180)  # at most, to either side
    shift: float = Field(0.1, ge=0, le=0.5)  # at most, to either side, in sides of the picture
    scale: tuple[float, float] = (0.8, 1.0)  # of the object, from and to

    @model_validator(mode="after")
    def _plane(self) -> "FlatSetParams":
        if not 0 < self.scale[0] <= self.scale[1] <= 2:
            raise ValueError(f"scale: {list(self.scale)} is no range from low to high, above 0 and up to 2")
        if self.change is not None:
            raise ValueError("change: has no meaning for pictures that are moved already; leave it out")
        return self


class PictureSetParams(Base):
    """A classification set of pictures on disk or of computed pictures: all kinds but `views`.

    A module in `robust3d.imagesets` adds its own keys.
    """

    kind: str  # the module
    resolution_px: int = Field(ge=8, le=4096)  # side of the square images
    fit: Literal["crop", "stretch", "exact"] = "crop"  # other sizes: crop: scaled to resize_px, then the centre square;
    # stretch: scaled without keeping proportions; exact: refused
    resize_px: int | None = Field(None, ge=8)  # crop: the shorter side before cropping; none: resolution_px
    images: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None  # train, val, test; none: all
    ratio: tuple[PositiveInt, PositiveInt, PositiveInt] = (8, 1, 1)  # train : val : test, for images without a split
    label_order: Names | None = None  # class names by label, may omit classes; none: the source's order
    broken: Literal["error", "skip"] = "error"  # for unreadable pictures; skip: left out, counted in every cell
    shards: int = Field(1, ge=1)  # files of pixels, one job each; changes no pixel

    _label_order = field_validator("label_order")(distinct)

    @model_validator(mode="after")
    def _cut_inside(self) -> "PictureSetParams":
        if self.resize_px is not None and (self.fit != "crop" or self.resize_px < self.resolution_px):
            raise ValueError(f"resize_px: belongs to fit: crop, and is at least resolution_px ({self.resolution_px})")
        return self


def ordered_labels(label_order: tuple[str, ...] | None, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Class names in label order: `label_order`, which may omit classes, else the given order.

    Raises:
        UserError: an unknown class.
    """
    unknown = [name for name in label_order or () if name not in classes]
    if unknown:
        shown = ", ".join(classes[:50]) + (", …" if len(classes) > 50 else "")
        raise UserError(f"set.label_order: no class {unknown[0]!r} there; there are {shown}")
    return label_order or classes
