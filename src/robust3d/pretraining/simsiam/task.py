"""SimSiam's pre-training task: two crops of an image predict each other's embedding, which gets no gradient.

Embeddings that are all alike would be predicted best. What keeps them apart is the missing gradient, and nothing in the
loss shows whether it did: so validation measures their standard deviation, and a collapse is recorded.
"""

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust3d.models.encoder import Encoder, seeded_initialisation
from robust3d.pretraining.simsiam.params import Params
from robust3d.seeds import torch_generator
from robust3d.training.augmentation import crop_grid, cropped, jittered
from robust3d.training.draws import integers
from robust3d.training.views import ViewPretraining

CHUNK = 256  # images at once in validation; memory only
NEIGHBOURS = 5  # that vote for a class
COLLAPSED_STD = 0.1  # below it embeddings have collapsed; 1 is a uniform spread over all directions


class SimSiam(nn.Module):
    """Encoder, projection and prediction.

    Args:
        encoder: trained in place; the output.
        params: sizes.
        seed: of the heads' weights.
    """

    def __init__(self, encoder: Encoder, params: Params, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        with seeded_initialisation(seed, "simsiam"):
            layers: list[nn.Module] = []
            width = encoder.feature_dim
            for number in range(params.layers):
                layers += [nn.Linear(width, params.width, bias=False), nn.BatchNorm1d(params.width)]
                layers += [nn.ReLU()] if number < params.layers - 1 else []
                width = params.width
            self.projection = nn.Sequential(*layers)
            self.prediction = nn.Sequential(
                nn.Linear(width, params.hidden, bias=False),
                nn.BatchNorm1d(params.hidden),
                nn.ReLU(),
                nn.Linear(params.hidden, width),
            )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings and predictions (N, width) of images (N, 3, H, W) in [0, 1]."""
        embedding = self.projection(self.encoder(images))
        return embedding, self.prediction(embedding)


def distance(prediction: Tensor, embedding: Tensor) -> Tensor:
    """Minus the mean cosine; the embedding gets no gradient."""
    return -F.cosine_similarity(prediction.float(), embedding.detach().float(), dim=1).mean()


def spread(embedding: Tensor) -> Tensor:
    """Standard deviation of normalised embeddings (N, D), times the root of D: 0 if all are alike, about 1 at most."""
    directions = F.normalize(embedding.double(), dim=1)
    return directions.std(0).mean() * embedding.shape[1] ** 0.5


class SimSiamPretraining(ViewPretraining):
    """Trains encoder and heads on pairs of crops of random views.

    Args:
        params: of the method.
        encoder: trained in place.
        train: training views.
        held_out: views of other instances, for validation.
        seed: of the heads' weights and of the validation's views.
        device: of module and data.
    """

    params: Params
    module: SimSiam

    def build(self) -> SimSiam:
        """The heads on the encoder, which sees two crops of each image."""
        self.images_per_step = 2 * self.params.batch
        return SimSiam(self.encoder, self.params, self.seed)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Half of the two distances, from -1 to 1, over a batch of views drawn with replacement."""
        inputs = self.train.inputs.flatten(0, 1)
        images = inputs[integers(len(inputs), (self.params.batch,), generator, self.device)] / 255
        (one, guess), (other, second) = (self.module(self._augmented(images, generator)) for _ in range(2))
        total = (distance(guess, other) + distance(second, one)) / 2
        return total, {"cosine": -total.detach(), "std": spread(one.detach())}

    def validate(self) -> dict[str, float]:
        """Spread of the held-out embeddings and features, the cosine of two crops, and the classes of neighbours.

        `std` is 0 where all embeddings are alike. `neighbours`: share of held-out images whose class is the commonest
        among their five nearest training images; its baseline is that of the commonest class.
        """
        (known, classes), (images, labels) = self._validation_views
        features, embeddings, _ = self._all(images)
        generator = torch_generator(self.seed, "simsiam", "crops")
        pairs = [torch.cat([self._augmented(part / 255, generator) for part in images.split(CHUNK)]) for _ in range(2)]
        _, aside, _ = self._all(pairs[0] * 255)
        _, _, guess = self._all(pairs[1] * 255)
        near = self._nearest(features, self._all(known)[0], NEIGHBOURS)
        votes = F.one_hot(classes[near], int(classes.max()) + 1).sum(1)
        return {
            "cosine": -float(distance(guess, aside)),
            "std": float(spread(embeddings)),
            "std_features": float(spread(features)),
            "neighbours": float((votes.argmax(1) == labels).float().mean()),
            "neighbours_baseline": float(torch.bincount(labels).max() / len(labels)),
        }

    def collapse(self, validation: dict[str, float]) -> str | None:
        """Collapsed when embeddings or features point all the same way."""
        for name in ("std", "std_features"):
            if validation[name] < COLLAPSED_STD:
                return f"embeddings have collapsed: {name} {validation[name]:.2g}, where 1 is a uniform spread"
        return None

    def score(self, validation: dict[str, float]) -> float:
        """How many held-out images have neighbours of their class."""
        return validation["neighbours"]

    def reconstructions(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Held-out images and their nearest training images by the encoder's features, uint8 (n, H, W, 3)."""
        (known, _), (images, _) = self._validation_views
        with self.in_eval_mode():
            near = self._nearest(self._all(images[:n])[0], self._all(known)[0], 1)[:, 0]
        return images[:n].movedim(1, -1).cpu().numpy(), known[near].movedim(1, -1).cpu().numpy()

    def _augmented(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Random crops of images (N, 3, H, W) in [0, 1], in other colours."""
        cut = cropped(images, crop_grid(images, self.params.crop, self.params.flip, generator))
        return jittered(cut, self.params.jitter, self.params.grey, generator)

    def _all(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features, embeddings and predictions of images (N, 3, H, W) in [0, 255]."""
        features = torch.cat([self.encoder(chunk / 255).float() for chunk in images.split(CHUNK)])
        embeddings = self.module.projection(features)
        return features, embeddings, self.module.prediction(embeddings)

    @staticmethod
    def _nearest(features: Tensor, known: Tensor, count: int) -> Tensor:
        """Rows (N, count) of `known` with the largest cosine."""
        cosines = F.normalize(features, dim=1) @ F.normalize(known, dim=1).T
        return cosines.topk(min(count, len(known)), dim=1).indices

    @cached_property
    def _validation_views(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Images, uint8 (N, 3, H, W), and classes (N,) of random training and held-out views; deterministic."""
        found = []
        for name, data in (("train", self.train), ("held out", self.held_out)):
            inputs, labels = data.inputs.flatten(0, 1), data.class_index.repeat_interleave(data.inputs.shape[1])
            generator = torch_generator(self.seed, "simsiam", name)
            chosen = torch.randperm(len(inputs), generator=generator)[: self.params.validation_images].to(self.device)
            found.append((inputs[chosen], labels[chosen]))
        return found[0], found[1]
