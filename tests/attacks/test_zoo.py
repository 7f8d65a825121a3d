"""Models of others, wrapped in all that a model may do: the official outcome, or a refusal that names the cause."""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, weight_norm

from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.fab import fab
from robust3d.attacks.params import AutoAttackParams
from robust3d.attacks.victim import Victim, frozen

N = 64
EPSILON = {"Linf": 0.055, "L2": 1.0}
Model = Callable[[Tensor], Tensor]


class Backward(torch.autograd.Function):
    """A forward pass of one kind with a backward pass of another."""

    @staticmethod
    def forward(ctx, x, forward, backward):
        ctx.backward_of = backward
        return forward(x)

    @staticmethod
    def backward(ctx, gradient):
        return ctx.backward_of(gradient), None, None


class Before(nn.Module):
    """The network after a step of preprocessing."""

    def __init__(self, net: nn.Module, step: Model) -> None:
        super().__init__()
        self.net, self.step = net, step
        self.eval()

    def forward(self, x):
        return self.net(self.step(x))


class After(nn.Module):
    """The network before a step on its logits."""

    def __init__(self, net: nn.Module, step: Model) -> None:
        super().__init__()
        self.net, self.step = net, step
        self.eval()

    def forward(self, x):
        return self.step(self.net(x))


def rounded(x):
    return (x * 6).round() / 6


def straight_through(x):
    return Backward.apply(x, rounded, lambda g: g)


def with_no_grad(x):
    with torch.no_grad():
        change = rounded(x) - x
    return x + change


def left_half(step):
    return lambda x: torch.cat([step(x[..., : x.shape[3] // 2]), x[..., x.shape[3] // 2 :]], 3)


def with_hook(x):
    x = x * 1
    if x.requires_grad:
        x.register_hook(lambda g: g.sign() * g.abs().sqrt())
    return x


def in_place(x):
    return x.sub_(0.01)


def only_without_gradient(x):
    return x if torch.is_grad_enabled() else 1 - x


def square_root(x):
    """x itself, up to rounding; where it is white, 0 times infinity is the gradient."""
    return 1 - (1 - x).sqrt() ** 2


class Residual(nn.Module):
    """Convolution and norm that are used twice, a ReLU in place, dropout, and another head for training."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared, self.norm = nn.Conv2d(3, 12, 3, 2, 1), nn.Conv2d(12, 12, 3, 1, 1), nn.BatchNorm2d(12)
        self.relu, self.dropout = nn.ReLU(inplace=True), nn.Dropout(0.5)
        self.head, self.other = nn.Linear(48, 10), nn.Linear(48, 4)
        self.two = False

    def forward(self, x):
        x = self.relu(self.first(x))
        x = x + self.relu(self.norm(self.shared(x)))
        x = x + self.relu(self.norm(self.shared(x)))
        x = self.dropout(F.adaptive_avg_pool2d(x, 2).flatten(1))
        return (self.head(x), self.other(x)) if self.two else self.head(x)


def normed(norm: Callable[[int], nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), norm(12), nn.ReLU(), nn.Conv2d(12, 16, 3, 2, 1), norm(16),
                         nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))  # fmt: skip


def with_weights(kind: Callable[[nn.Module], nn.Module]) -> nn.Module:
    net = normed(nn.BatchNorm2d)
    net[0], net[3] = kind(net[0]), kind(net[3])
    return net


def hidden_in_training(net: nn.Module) -> Model:
    return lambda x: net.train()(x)


def poisoned(net: nn.Module) -> nn.Module:
    net.get_submodule("1").running_var[2] = torch.nan
    return net


@dataclass
class Kept:
    """The official code's outcome on the same model."""

    make: Callable[[nn.Module], Model]
    fresh: Callable[[], nn.Module] | None = None  # a network of its own, trained here for a moment
    norm: str = "Linf"
    official: Callable[[nn.Module], Model] | None = None  # what the official code gets, if it cannot take the model
    wider: float = 1.0  # by what the budget is multiplied where no attack without gradients comes after
    seen: bool = True  # the gradients lead to where the model errs


@dataclass
class Refused:
    """A message, as an error or as a reason for which the numbers are not valid."""

    make: Callable[[nn.Module], Model]
    told: str
    fresh: Callable[[], nn.Module] | None = None


ZOO: dict[str, Kept | Refused] = {
    "plain": Kept(lambda net: net),
    "function": Kept(lambda net: lambda x: net(x)),
    "wrapped": Kept(lambda net: nn.Sequential(nn.Identity(), Before(net, lambda x: x)).eval()),
    "data parallel": Kept(lambda net: nn.DataParallel(net).eval()),
    "script": Kept(lambda net: torch.jit.script(net)),
    "channels last": Kept(lambda net: Before(net, lambda x: x.contiguous(memory_format=torch.channels_last))),
    "normalised": Kept(lambda net: Before(net, lambda x: (x * 2 - 1 + 1) / 2)),
    "double": Kept(lambda net: After(Before(net.double(), lambda x: x.double()), lambda z: z.float())),
    "residual": Kept(lambda net: net, Residual),
    "weight norm": Kept(lambda net: net, lambda: with_weights(parametrizations.weight_norm)),
    "old weight norm": Kept(lambda net: net, lambda: with_weights(weight_norm)),
    "spectral norm": Kept(lambda net: net, lambda: with_weights(parametrizations.spectral_norm)),
    "group norm": Kept(lambda net: net, lambda: normed(lambda c: nn.GroupNorm(4, c))),
    "instance norm": Kept(lambda net: net, lambda: normed(nn.InstanceNorm2d)),
    "straight-through": Kept(lambda net: Before(net, straight_through)),
    "straight-through in half": Kept(lambda net: Before(net, left_half(straight_through))),
    "straight-through by detach": Kept(lambda net: Before(net, lambda x: x + (rounded(x) - x).detach())),
    "straight-through by no_grad": Kept(lambda net: Before(net, with_no_grad)),
    "no_grad in half": Kept(lambda net: Before(net, left_half(with_no_grad))),
    "gradient hook": Kept(lambda net: Before(net, with_hook)),
    "gradient scaled": Kept(lambda net: Before(net, lambda x: Backward.apply(x, lambda x: x * 1, lambda g: 0.01 * g))),
    "gradient reversed": Kept(lambda net: Before(net, lambda x: Backward.apply(x, lambda x: x * 1, torch.neg)),
                              seen=False),
    "half detached": Kept(lambda net: Before(net, left_half(lambda x: x.detach())), wider=2),
    "half quantised": Kept(lambda net: Before(net, left_half(lambda x: rounded(x) + 0 * x)), wider=2),
    "checkpointed": Kept(lambda net: lambda x: torch.utils.checkpoint.checkpoint(net, x, use_reentrant=False)),
    "large logits": Kept(lambda net: After(net, lambda z: 1e3 * z)),
    "shifted logits": Kept(lambda net: After(net, lambda z: z + 100)),
    "softmax": Kept(lambda net: After(net, lambda z: z.softmax(1))),
    "first of two heads": Kept(lambda net: lambda x: (net(x), 0)[0]),
    "NaN gradients": Kept(lambda net: Before(net, square_root), official=lambda net: net),
    "NaN gradients in L2": Kept(lambda net: Before(net, square_root), norm="L2", official=lambda net: net),
    "quantised": Refused(lambda net: Before(net, lambda x: rounded(x) + 0 * x), "gradients are zero"),
    "no backward": Refused(lambda net: Before(net, lambda x: Backward.apply(x, lambda x: x * 1, torch.zeros_like)),
                           "gradients are zero"),
    "constant": Refused(lambda net: lambda x: 0 * net(x) + torch.eye(10)[3], "constant"),
    "all detached": Refused(lambda net: lambda x: net(x.detach()), "no gradient leads"),
    "no_grad": Refused(lambda net: torch.no_grad()(net), "no gradient leads"),
    "inference mode": Refused(lambda net: torch.inference_mode()(net), "no gradient leads"),
    "in place": Refused(lambda net: Before(net, in_place), "in place"),
    "two heads": Refused(lambda net: lambda x: (net(x), net(x)), r"a tuple of 2.*model\(images\)\[0\]"),
    "dict": Refused(lambda net: lambda x: {"logits": net(x)}, r"a dict \(logits\).*\['logits'\]"),
    "maps": Refused(lambda net: lambda x: net(x)[:, :, None, None], r"shape \(8, 10, 1, 1\)"),
    "NaN": Refused(poisoned, "NaN or infinite on 64 of 64 clean images"),
    "infinite": Refused(lambda net: After(net, lambda z: torch.where(z > 0, torch.inf, z)), "NaN or infinite"),
    "training mode": Refused(lambda net: net.train(), r"call model.eval\(\)"),
    "hidden training mode": Refused(hidden_in_training, "batch norm in training mode"),
    "no running statistics": Refused(lambda net: net, "without running statistics",
                                     lambda: normed(lambda c: nn.BatchNorm2d(c, track_running_stats=False))),
    "hidden dropout": Refused(lambda net: lambda x: net(F.dropout(x, 0.05)), "active dropout"),
    "other without gradient": Refused(lambda net: Before(net, only_without_gradient), "is_grad_enabled"),
}  # fmt: skip


def robust_officially(model: Model, images: Tensor, labels: Tensor, params: AutoAttackParams) -> int:
    package = pytest.importorskip("pyautoattack")
    official = package.AutoAttack(model, norm=params.norm, eps=params.epsilons[0], seed=0, version="custom",
                                  attacks=list(params.attacks), device="cpu")  # fmt: skip
    for part in (official.apgd, official.apgd_targeted, official.fab):
        part.n_restarts, part.n_iter = 1, params.iterations
    official.apgd_targeted.n_target_classes = official.fab.n_target_classes = params.target_classes
    official.square.n_queries = params.square_queries
    _, predictions = official.run_standard_evaluation(images, labels, batch_size=N)
    return int((predictions == labels).sum())


def taught(make: Callable[[], nn.Module], toy) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make().train()
        optimiser = torch.optim.Adam(net.parameters(), 0.01)
        for _ in range(40):
            optimiser.zero_grad()
            logits = net(toy.images)
            F.cross_entropy(logits, toy.labels).backward()
            optimiser.step()
    return net.eval()


def compare(name: str, toy, within: int, **settings) -> None:
    entry = ZOO[name]
    images, labels = toy.images[:N], toy.labels[:N]
    norm = entry.norm if isinstance(entry, Kept) else "Linf"
    epsilon = EPSILON[norm] * (getattr(entry, "wider", 1) if "attacks" in settings else 1)
    net = copy.deepcopy(toy.model)
    if entry.fresh:
        net = taught(entry.fresh, toy)
        labels = net(images).argmax(1)
        with frozen(net):
            rivals = net(images).topk(2).indices[:, 1]
            epsilon = float(fab(Victim(net), images, labels, rivals, norm, 15)[1].median())
    params = AutoAttackParams(norm=norm, epsilons=(epsilon,), **settings)
    theirs = None
    if isinstance(entry, Kept):
        theirs = robust_officially((entry.official or entry.make)(copy.deepcopy(net)), images, labels, params)
        assert theirs > 0.1 * N and (theirs < 0.9 * N or not entry.seen), "the comparison says nothing"
    try:
        outcomes = evaluate(entry.make(net), images, labels, params)
    except ValueError as error:
        told = [str(error)]
    else:
        told = outcomes.flags.invalid
    if isinstance(entry, Refused):
        assert re.search(entry.told, " ".join(told))
    else:
        assert told == [] and abs(int(outcomes.robust.sum()) - theirs) <= within


@pytest.mark.parametrize("name", [name for name, entry in ZOO.items() if isinstance(entry, Refused) or not entry.fresh])
def test_the_zoo_by_a_short_attack(name, toy):
    """20 iterations depend on the random start more than 100; networks of their own are left to the slow test."""
    compare(name, toy, 2, attacks=("apgd-ce", "apgd-t"), iterations=20, target_classes=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_by_the_whole_attack(name, toy):
    compare(name, toy, 1, square_queries=1000)
