"""Makes the distorted images of a set, batch by batch, and asks the classifier of each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from robust3d.attacks.agreement import ieee_fp32
from robust3d.attacks.pgd import pgd
from robust3d.data.images import ImageData
from robust3d.data.params import PAPER_TEXTURES
from robust3d.data.procedural_textures import procedural_texture
from robust3d.distortions.binary import thresholded, traced, tracer_version
from robust3d.distortions.corruptions import corrupt
from robust3d.distortions.masks import retextured, silhouettes
from robust3d.distortions.parameters import set_for
from robust3d.distortions.scramble import scramble
from robust3d.errors import UserError
from robust3d.probes import Findings, Subject, answered
from robust3d.seeds import numpy_generator, seed_of

if TYPE_CHECKING:
    from robust3d.probes.distortions import Params

CLEAN = "none"  # the name of no distortion
_TEXTURES_A_CLASS = 8  # of a bank that is made here


def ask(params: "Params", subject: Subject) -> Findings:
    """One row an image and distortion, and the accuracy on each."""
    images = subject.images("set")
    maker = Distorter(params, subject, images)
    said: dict[str, list[Tensor]] = {}
    for index in torch.arange(len(images)).split(params.batch_size):
        for name, distorted in maker.distorted(index):
            said.setdefault(name, []).append(subject.predictions(distorted))
    frames = {name: answered("set", images, parts, distortion=name) for name, parts in said.items()}
    outcomes = pd.concat(list(frames.values()), ignore_index=True)
    accuracy = {name: float(frame["correct"].mean()) for name, frame in frames.items()}
    metrics = {"images": len(images), "accuracy": accuracy, "made": maker.made, "blank_black_and_white": maker.blank}
    return Findings(metrics, outcomes)


@dataclass(frozen=True)
class Beside:
    """Pictures that belong to the images of another set by their names.

    Attributes:
        pictures: the other set.
        places: for each image, that of its picture.
    """

    pictures: ImageData
    places: Tensor

    @classmethod
    def of(cls, role: str, images: ImageData, pictures: ImageData) -> "Beside":
        """Find the picture of every image.

        Raises:
            UserError: an image has none or several, or they differ in size.
        """
        _check_size(role, pictures, images)
        places: dict[str, list[int]] = {}
        for place, name in enumerate(pictures.ids):
            places.setdefault(name, []).append(place)
        for name in images.ids:
            found = len(places.get(name, ()))
            if found != 1:
                raise UserError(
                    f"sets.{role}: {found or 'no'} test pictures are called {name!r} (without their ending); each of "
                    f"the {len(images)} test images needs one, in the folder of its class"
                )
        return cls(pictures, torch.tensor([places[name][0] for name in images.ids]))

    def batch(self, index: Tensor) -> Tensor:
        """Pictures of some images, (n, 3, H, W) uint8."""
        return self.pictures.batch(self.places[index])


class Distorter:
    """The distorted images of a set.

    Args:
        params: of the probe.
        subject: the classifier that is attacked, and further sets.
        images: that are distorted.

    Attributes:
        made: how, for the metrics: what was used where there is a choice.
        blank: how many black-and-white images of those made so far are of one colour, without an object.

    Raises:
        UserError: a distortion needs what is not there.
    """

    def __init__(self, params: "Params", subject: Subject, images: ImageData) -> None:
        self.params, self.subject, self.images = params, subject, images
        self.is_painted = _is_painted(images)
        self.beside = {
            role: Beside.of(role, images, subject.images(role))
            for role in ("masks", "stylised", "unpainted")
            if role in subject.sets and self._is_needed(role)
        }
        self.seeds = [seed_of(params.seed, "distortions", name) for name in images.ids]
        self.made: dict[str, Any] = {}
        self.blank = 0
        kinds = params.distortions
        needs_masks = "silhouette" in kinds or ("stylised" in kinds and "stylised" not in self.beside)
        if needs_masks and "masks" not in self.beside and images.read_masks is None:
            raise UserError(
                "these images bring no masks of their objects, which silhouette and stylised need; name a set of masks "
                "(and one of stylised images) under `sets` of the probe, or leave both out of `distortions`"
            )
        if "black_and_white" in kinds:
            way = params.black_and_white
            self.made["black_and_white"] = f"{way}: {tracer_version() if way == 'potrace' else params.threshold}"
        if "silhouette" in kinds:
            self.made["silhouette"] = "set of masks" if "masks" in self.beside else "exact masks of the views"
        if "stylised" in kinds:
            self._check_light()
            self.made["stylised"] = self._style()
        if "noise" in kinds:
            self.noise_set = params.noise_parameters or set_for(images.resolution_px)
            self.made["noise"] = f"gaussian_noise {params.noise_severity} of {self.noise_set}"

    def distorted(self, index: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Name and images of each distortion, undistorted ones first."""
        params, batch, seeds = self.params, self.images.batch(index), [self.seeds[place] for place in index.tolist()]
        yield CLEAN, batch
        for kind in params.distortions:
            if kind == "scrambled":
                for parts in params.scrambled:
                    own = [seed_of(seed, "scrambled", parts) for seed in seeds]
                    yield (
                        f"scrambled_{parts}",
                        scramble(batch, parts, own if params.permutation == "per_image" else None),
                    )
            elif kind == "adversarial":
                yield kind, self._attacked(batch, index)
            elif kind == "stylised":
                yield kind, self._stylised(batch, index)
            elif kind == "silhouette":
                yield kind, silhouettes(self._masks(index))
            elif kind == "black_and_white":
                drawn = traced(batch) if params.black_and_white == "potrace" else thresholded(batch, params.threshold)
                self.blank += int((drawn == drawn[:, :1, :1, :1]).flatten(1).all(1).sum())
                yield kind, drawn
            else:
                yield kind, corrupt(batch, "gaussian_noise", params.noise_severity, seeds, self.noise_set)

    def _attacked(self, batch: Tensor, index: Tensor) -> Tensor:
        labels = self.images.labels[index.to(self.images.labels.device)]
        attack, pixels = self.params.attack, batch.float() / 255
        with ieee_fp32():
            return pgd(self.subject.model, pixels, labels, attack)[0]

    def _masks(self, index: Tensor) -> Tensor:
        """(n, H, W) bool.

        Raises:
            UserError: a mask shows nothing, or nothing but the object.
        """
        if "masks" not in self.beside:
            return self.images.masks(index)
        masks = self.beside["masks"].batch(index).float().mean(1) >= 127.5
        share = masks.float().mean((1, 2))
        for place, found in zip(index.tolist(), share.tolist(), strict=True):
            if found in (0.0, 1.0):
                colour = "white" if found else "black"
                raise UserError(f"sets.masks: the mask of {self.images.ids[place]!r} is {colour} all over; the object "
                                "has to be white on black")  # fmt: skip
        return masks

    def _is_needed(self, role: str) -> bool:
        """Whether a distortion reads a further set that is named."""
        kinds = self.params.distortions
        if role == "unpainted":  # of objects that nobody has painted it would be the set itself
            return "stylised" in kinds and self.is_painted and "stylised" not in self.subject.sets
        return "stylised" in kinds or (role == "masks" and "silhouette" in kinds)

    def _check_light(self) -> None:
        """Whether the light on objects can be told from what they are painted with.

        Raises:
            UserError: it cannot.
        """
        if "stylised" in self.beside or not self.is_painted:
            return
        if "unpainted" not in self.beside:
            raise UserError(
                "the objects of these images are painted, and the old texture would stay visible under a new one; name "
                "the same views as rendered (a set with shows: shape) by `unpainted` under `sets` of the probe, or "
                "leave stylised out of `distortions`"
            )
        if _is_painted(self.beside["unpainted"].pictures):
            raise UserError("sets.unpainted: its objects are painted, too; choose a set with shows: shape")

    def _style(self) -> str:
        """What stylised images are made from; opens it."""
        if "stylised" in self.beside:
            return "set of stylised images"
        if "textures" in self.subject.sets:
            bank = self.subject.images("textures")
            _check_size("textures", bank, self.images)
            self._choose_from(bank)
            return f"objects painted with {len(bank)} pictures of the set of textures{self._of_others}"
        side = self.images.resolution_px
        names = [name for name in PAPER_TEXTURES for _ in range(_TEXTURES_A_CLASS)]
        made = [
            procedural_texture(name, side, numpy_generator(self.params.seed, "style", name, place % _TEXTURES_A_CLASS))
            for place, name in enumerate(names)
        ]
        pixels = torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).contiguous()
        bank = ImageData.of(pixels, torch.zeros(len(pixels), dtype=torch.int64)).to(self.images.labels.device)
        self._choose_from(replace(bank, rows=pd.DataFrame({"class_name": names})))
        return f"objects painted with {len(made)} procedural textures{self._of_others}"

    @property
    def _of_others(self) -> str:
        return ", none of them that of the object's class" if self.is_painted else ""

    def _choose_from(self, bank: ImageData) -> None:
        """For each image a texture at random out of a bank; none that stands for its class, if objects are painted.

        Raises:
            UserError: the bank has no other one.
        """
        rows, self.bank, self.chosen = self.images.rows, bank, []
        own: dict[str, str] = dict(zip(rows["texture"], rows["painted"], strict=True)) if self.is_painted else {}
        classes = rows["class_name"].tolist() if own else [""] * len(self.images)
        textures = bank.rows["class_name"].tolist() if "class_name" in bank.rows else [""] * len(bank)
        others = {
            name: [place for place, texture in enumerate(textures) if name not in own or texture != own[name]]
            for name in dict.fromkeys(classes)
        }
        for name, seed in zip(classes, self.seeds, strict=True):
            if not others[name]:
                raise UserError(f"sets.textures: it has nothing but the texture of the class {name!r}; add others")
            self.chosen.append(others[name][seed_of(seed, "style") % len(others[name])])

    def _stylised(self, batch: Tensor, index: Tensor) -> Tensor:
        if "stylised" in self.beside:
            return self.beside["stylised"].batch(index)
        textures, masks = self.bank.batch([self.chosen[place] for place in index.tolist()]), self._masks(index)
        if "unpainted" not in self.beside:
            return retextured(batch, masks, textures)
        return retextured(self.beside["unpainted"].batch(index), masks, textures).where(masks[:, None], batch)


def _check_size(role: str, pictures: ImageData, images: ImageData) -> None:
    """Refuse pictures of another size.

    Raises:
        UserError: they are.
    """
    if pictures.resolution_px != images.resolution_px:
        sizes = f"{pictures.resolution_px} px, the images {images.resolution_px} px"
        raise UserError(f"sets.{role}: its pictures have {sizes}; give both sets one resolution_px")


def _is_painted(images: ImageData) -> bool:
    """Whether the objects of a set have been painted (`robust3d.data.painted`)."""
    return "painted" in images.rows and bool((images.rows["painted"] != "").any())
