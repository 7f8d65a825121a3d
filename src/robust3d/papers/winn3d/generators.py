"""The part of the section about generated volumes: generators, their samples, the network that judges them."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from robust3d.generation.params import JudgeParams, SvmParams
from robust3d.params import Params, distinct
from robust3d.parsing import parse
from robust3d.study.keys import Keys, check_known, check_labels, there
from robust3d.study.layers import read_layers
from robust3d.training.introspection.params import VoxelTrainingParams
from robust3d.training.reference3d.params import ReferenceParams
from robust3d.training.volume_generators.params import GeneratorParams, parse_generator

if TYPE_CHECKING:
    from robust3d.study.config import Study
    from robust3d.study.jobs import Job
    from robust3d.study.plan import Plan

# single: one generator of all classes, after its last iteration; multi: the same after each of its last iterations;
# separate: a generator for each category.
Kind = Literal["joint-single", "joint-multi", "separate-multi"]


class Generator(Params):
    """A generator; rows of tables 2 to 4."""

    label: str
    method: Literal["introspective", "vae", "gan"] = "introspective"
    models: Annotated[tuple[Kind, ...], Field(min_length=1, strict=False), AfterValidator(distinct)]
    printed: Literal["3DWINN", "3D-GAN", "3D-VAE"] | None = None  # the paper's rows whose numbers stand beside
    # Parameters of 3D-VAE and 3D-GAN; of introspective training changes of those in `unsupervised`.
    settings: dict[str, Any] = Field(default_factory=dict)
    category_settings: dict[str, Any] = Field(default_factory=dict)  # changes of these, for a generator of one category


class Samples(Params):
    """How many volumes generators make."""

    joint: int = Field(260, ge=2)  # of a generator of all classes; not stated
    category: int = Field(60, ge=2)  # of a generator of one category; not stated
    iterations: int = Field(10, ge=1)  # of joint-multi: the last ones of the last cascade; as stated
    threshold: float = 0.5  # above which a voxel is filled; not stated; 3D-DescriptorNet: 0.5


class Figure3(Params):
    """Its columns."""

    generator: str  # key of `generators`
    samples: int = Field(6, ge=1)  # of each category


class Figure4(Params):
    """Its rows and columns."""

    categories: Keys | None = None  # null: those of `categories`
    steps: int = Field(6, ge=2)  # iterations that are shown, evenly spaced, the first and the last among them


class GeneratorSection(Params):
    """What tables 2 to 4 and 6 and figures 3 and 4 show."""

    reference: ReferenceParams = ReferenceParams()  # the network that judges
    reference_voxels: str | None = None  # key of `voxels` on which it is trained; null: the section's
    unsupervised: dict[str, Any]  # parameters of unsupervised introspective training
    category_changes: dict[str, Any] = Field(default_factory=dict)  # of `unsupervised`, for generators of a category
    generators: Annotated[dict[str, Generator], BeforeValidator(there), Field(min_length=1)]
    # With generators of their own:
    categories: Annotated[Keys, Field(min_length=1)]
    samples: Samples = Samples()
    judge: JudgeParams = JudgeParams()
    svm: SvmParams = SvmParams()  # of Table 6
    svm_generator: str  # key of `generators`, whose joint network Table 6 classifies by
    figure3: Figure3
    figure4: Figure4 = Figure4()

    def unsupervised_training(self, study: "Study", voxels: str, key: str, category: str | None) -> VoxelTrainingParams:
        """The parameters of a generator's introspective training, of all classes or of one category.

        Raises:
            ValueError: beginning with the key's path under the section.
        """
        own = {"network": {"resolution": study.voxels[voxels].resolution}, "supervised": False}
        layers = {"unsupervised": self.unsupervised}
        layers |= {"category_changes": self.category_changes} if category is not None else {}
        layers |= self._settings(key, category)
        return read_layers(partial(parse, VoxelTrainingParams), f"generators.{key}", own, layers)

    def generator_training(self, study: "Study", voxels: str, key: str, category: str | None) -> GeneratorParams:
        """The parameters of a 3D-VAE or 3D-GAN, of all classes or of one category.

        Raises:
            ValueError: beginning with the key's path under the section.
        """
        own = {
            "method": self.generators[key].method,
            "resolution": study.voxels[voxels].resolution,
            "samples": self.samples.joint if category is None else self.samples.category,
            "threshold": self.samples.threshold,
        }
        return read_layers(parse_generator, f"generators.{key}", own, self._settings(key, category))

    def _settings(self, key: str, category: str | None) -> dict[str, dict[str, Any]]:
        """The values of a generator by the path of their key."""
        one, at = self.generators[key], f"generators.{key}"
        own = {f"{at}.settings": one.settings}
        return own if category is None else {**own, f"{at}.category_settings": one.category_settings}

    def check_generators(self, study: "Study", voxels: str) -> None:
        """Whether all that it names is defined, and fits together.

        Raises:
            ValueError: beginning with the key's path under the section.
        """
        classes = dict.fromkeys(study.voxels[voxels].shape_params().classes)
        for name in self.categories:
            check_known("categories", name, classes)
        for name in self.figure4.categories or ():
            check_known("figure4.categories", name, classes)
        if self.reference_voxels is not None:
            check_known("reference_voxels", self.reference_voxels, study.voxels)
            known = study.voxels[self.reference_voxels].shape_params().classes
            if missing := [name for name in classes if name not in known]:
                raise ValueError(f"reference_voxels: {self.reference_voxels} has no class {missing[0]!r} of {voxels}")
        check_known("svm_generator", self.svm_generator, self.generators)
        check_known("figure3.generator", self.figure3.generator, self.generators)
        if "separate-multi" not in self.generators[self.figure3.generator].models:
            raise ValueError(f"figure3.generator: {self.figure3.generator} has no generator for each category")
        if self.generators[self.svm_generator].method != "introspective":
            raise ValueError(f"svm_generator: {self.svm_generator} is no introspective network, which has features")
        check_labels({f"generators.{key}.label": generator.label for key, generator in self.generators.items()})
        for key, generator in self.generators.items():
            if "joint-multi" in generator.models and generator.method != "introspective":
                raise ValueError(
                    f"generators.{key}.models: joint-multi needs iterations, which {generator.method} lacks"
                )
            for category in (None, self.categories[0]):
                if generator.method != "introspective":
                    self.generator_training(study, voxels, key, category)
                else:
                    self.unsupervised_training(study, voxels, key, category)


def generated(plan: "Plan", section: Any, key: str, kind: Kind, seed: int) -> list["Job"]:
    """The jobs whose output `generated` has the volumes of a generator: one, or one for each category."""
    from robust3d.study.voxel_jobs import generate_voxels, train_generator  # for planning; writing needs none of it

    categories = section.categories if kind == "separate-multi" else (None,)
    if section.generators[key].method != "introspective":
        trainings = {name: section.generator_training(plan.study, section.voxels, key, name) for name in categories}
        return [train_generator(plan, section.voxels, key, one, seed, name) for name, one in trainings.items()]
    count = section.samples.category if kind == "separate-multi" else section.samples.joint
    iterations = section.samples.iterations if kind == "joint-multi" else 1
    return [
        generate_voxels(plan, trained(plan, section, key, category, seed), count, iterations, section.samples.threshold)
        for category in categories
    ]


def trained(plan: "Plan", section: Any, key: str, category: str | None, seed: int) -> "Job":
    """The job that trains an introspective generator."""
    from robust3d.study.voxel_jobs import train_voxels

    params = section.unsupervised_training(plan.study, section.voxels, key, category)
    return train_voxels(plan, section.voxels, f"{key}-unsupervised", params, seed, category)
