"""Base of all classifier trainings: batches, the attack, validation on clean and on attacked images."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from robust3d.attacks.agreement import EXAMPLES, ieee_fp32, logits_agree
from robust3d.attacks.folding import Folded, in_eval_mode
from robust3d.attacks.pgd import pgd
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.classifier import Classifier
from robust3d.seeds import torch_generator
from robust3d.training.draws import Epochs
from robust3d.training.loop import Task
from robust3d.training.metrics import accuracy, judged
from robust3d.training.params import ClassifierParams

VALIDATION_BATCH = 250
COLLAPSED_SHARE = 0.99  # of the validation images with the same predicted class


class Classification(Task):
    """Trains a classifier by cross-entropy; subclasses choose the training images and the score.

    Attacks run in eval mode, the optimiser step in train mode. So an attack uses the running statistics of the batch
    norms, and these are updated by the training images only.

    Args:
        classifier: trained in place.
        images: to train on, on the classifier's device.
        held_out: to validate on.
        params: attack, batch size, seed and the training's own parameters.

    Raises:
        UserError: a class has fewer images than `labels_per_class`; or images have several labels, see `multilabel`.
    """

    several_labels = False  # whether it can do with them

    def __init__(
        self,
        classifier: Classifier,
        images: ImageData,
        held_out: ImageData,
        params: ClassifierParams,
    ) -> None:
        if images.shown is not None and not self.several_labels:
            raise UserError(
                f"objective: {params.objective} takes images of one label each, and these show several classes; "
                "fine-tune (objective: finetune) or train the last layer (linear)"
            )
        self.module = classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the faster layout
        self.classifier: nn.Module = self.module  # what is validated; a training may have more in its module
        self.images, self.held_out = images, held_out
        self.labelled = labelled(images, params)  # places of the images to train on
        self.count = len(self.labelled)
        self.params = params
        self._copies: dict[nn.Module, nn.Module] = {}
        self.share, self.shares = 0, 1  # this device's part of every batch, and the number of devices
        self.images_per_step = params.batch_size // params.devices
        self._epochs = Epochs(self.count, params.batch_size, params.seed)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of one batch of training images."""
        images, labels = self.clean_batch(step, generator)
        images = self.examples(images, labels, generator)
        logits = self.module(images)
        loss = functional.cross_entropy(logits, labels)
        return loss, {"accuracy": (logits.detach().argmax(1) == labels).double().mean()}

    def clean_batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A step's images in [0, 1], augmented, and their labels."""
        index = self.labelled[self.batch(step)]
        images, labels = to_unit(self.images.batch(index)), self.images.labels[index]
        if self.params.augmentation == "flip":
            flipped = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
            images = torch.where(flipped, images.flip(3), images)
        return images, labels

    def examples(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The training images for a batch of clean images, both in [0, 1]."""
        return images

    def attack(
        self, images: Tensor, labels: Tensor, generator: torch.Generator, network: nn.Module | None = None
    ) -> Tensor:
        """The training attack on [0, 1] images, against the current classifier in eval mode.

        It uses a copy with the batch norms folded into the convolutions: the same function in fewer operations, and
        the module's mode and buffers do not change. `network` is attacked in place of the classifier.
        """
        images = images.contiguous(memory_format=torch.channels_last)
        attacked = self._attacked(self.classifier if network is None else network)
        if isinstance(attacked, Folded):
            attacked.refresh()
        adversarial, _ = pgd(attacked, images, labels, self.params.attack, generator)
        return adversarial

    @property
    def attacked(self) -> str:
        """Whether the attack goes through a "folded copy" or the "module itself"."""
        return "folded copy" if isinstance(self._attacked(self.classifier), Folded) else "module itself"

    def _attacked(self, network: nn.Module) -> nn.Module:
        # Not before the first attack: the loop may move the module to another device.
        if network not in self._copies:
            self._copies[network] = self._folded(network)
        return self._copies[network]

    def _folded(self, network: nn.Module) -> nn.Module:
        itself, some = in_eval_mode(network), to_unit(self.images.batch(range(min(EXAMPLES, len(self.images)))))
        with torch.no_grad(), ieee_fp32():
            try:
                folded = Folded(network, some[:1], blocked=True)
                return folded if logits_agree(folded, itself, some) else itself
            except Exception:  # tracers raise whatever the traced code raises
                return itself

    def batch(self, step: int) -> Tensor:
        """Places of a step's images in `labelled`, of this device's share."""
        return self._epochs.batch(step)[self.share :: self.shares].to(self.images.labels.device)

    def validate(self) -> dict[str, float]:
        """Accuracy on clean and on attacked images; chance is the accuracy of the best constant prediction."""
        labels, (logits, attacked) = self.held_out.labels, self.held_out_logits(self.classifier)
        found = judged(logits, labels)
        return {"accuracy": found["accuracy"], "pgd_accuracy": accuracy(attacked, labels), **found}

    def held_out_logits(self, network: nn.Module) -> tuple[Tensor, Tensor]:
        """Logits (N, K) of a network on the held-out images, clean and attacked."""
        clean, attacked = [], []
        for number, (raw, labels) in enumerate(self.held_out.batches(VALIDATION_BATCH)):
            images = to_unit(raw)
            generator = torch_generator(self.params.seed, "validation", number, device=images.device)
            clean.append(network(images))
            attacked.append(network(self.attack(images, labels, generator, network)))
        return torch.cat(clean), torch.cat(attacked)

    def collapse(self, validation: dict[str, float]) -> str | None:
        """A message if (nearly) every validation image gets the same class."""
        if validation["largest_answer"] < COLLAPSED_SHARE or validation["chance"] >= COLLAPSED_SHARE:
            return None
        return (
            f"the classifier gives one class to {validation['largest_answer']:.0%} of the validation images "
            f"(accuracy {validation['accuracy']:.3f}, chance {validation['chance']:.3f})"
        )

    def score(self, validation: dict[str, float]) -> float:
        """Score that selects the best checkpoint: accuracy on clean images, unless a training overrides it."""
        return validation["accuracy"]


class CleanClassification(Classification):
    """The same without any attack, also in validation."""

    def validate(self) -> dict[str, float]:
        """Accuracy on the held-out images; chance is the accuracy of the best constant prediction."""
        labels = self.held_out.labels
        batches = self.held_out.batches(VALIDATION_BATCH)
        logits = torch.cat([self.classifier(to_unit(images)) for images, _ in batches])
        return judged(logits, labels)

    @property
    def attacked(self) -> str:
        """Nothing is attacked in this training."""
        return "nothing"


def labelled(images: ImageData, params: ClassifierParams) -> Tensor:
    """Places (n,) of the images whose labels are used, ascending.

    With `labels_per_class` there are so many of each class; images of several labels that are drawn for one class have
    the others too.

    Raises:
        UserError: a class has fewer images.
    """
    labels, shown = images.labels, images.shown
    if params.labels_per_class is None:
        return torch.arange(len(labels), device=labels.device)
    chosen = []
    for label in labels.unique().tolist() if shown is None else range(shown.shape[1]):
        places = (labels == label if shown is None else shown[:, label] == 1).nonzero()[:, 0].cpu()
        if len(places) < params.labels_per_class:
            raise UserError(
                f"labels_per_class: {params.labels_per_class}, but class {label} has {len(places)} training images; "
                "ask for fewer, or for more `images` of the set"
            )
        order = torch.randperm(len(places), generator=torch_generator(params.seed, "labels", label))
        chosen.append(places[order[: params.labels_per_class]])
    return torch.cat(chosen).unique().to(labels.device)


def to_unit(images: Tensor) -> Tensor:
    """uint8 images to float32 in [0, 1]."""
    return images.float() / 255
