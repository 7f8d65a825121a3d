"""The value that a unit exceeds at a given share of all positions, from a stream, in memory of fixed size."""

import torch
from torch import Tensor

from robust3d.errors import UserError

_SMALLEST = -120  # exponent of the narrowest bin: far below what fp32 activations resolve
_BELOW = 2.0**-16  # of a value: a threshold that is so much smaller is below it after scaling in fp32, too


class Quantiles:
    """A histogram for each unit, whose bins widen as larger values come.

    A bin is as wide as a power of two, so two of them make one of the next width and nothing is estimated twice. Zero
    has a count of its own: behind a ReLU it is the most frequent value, and often the quantile.

    Args:
        units: how many.
        bins: of each unit, a power of two; 64 KiB a unit at the default.
        device: of the counts.
    """

    def __init__(self, units: int, bins: int = 8192, device: str | torch.device = "cpu") -> None:
        if bins < 4 or bins & (bins - 1):
            raise ValueError(f"{bins} bins; a power of two is needed")
        self.bins, self.half = bins, bins // 2
        self.counts = torch.zeros(units, bins, dtype=torch.int64, device=device)
        self.zeros = torch.zeros(units, dtype=torch.int64, device=device)
        self.exponent = torch.full((units,), _SMALLEST, dtype=torch.int64, device=device)  # of the width of a bin
        self.largest = torch.full((units,), -torch.inf, device=device)
        self.at_largest = torch.zeros(units, dtype=torch.int64, device=device)  # how many values are the largest one
        self.total = 0  # values of each unit

    def add(self, maps: Tensor) -> None:
        """Count the values of maps (B, units, H, W), or of any other dimensions after the second.

        Raises:
            UserError: some of them are no numbers.
        """
        values = maps.transpose(0, 1).flatten(1).float()
        largest = values.abs().amax(1)
        if not largest.isfinite().all():
            raise UserError("a layer gives values that are infinite or no numbers; the classifier cannot be dissected")
        # 2**exponent of frexp is above the largest value, and at most twice as large.
        wanted = torch.frexp(largest)[1].long() - (self.half.bit_length() - 1)
        self._widen(torch.where(largest > 0, wanted, _SMALLEST).clamp(min=_SMALLEST))
        place = (values * torch.exp2(-self.exponent.double()).float()[:, None]).floor().long() + self.half
        place += self.bins * torch.arange(len(values), device=values.device)[:, None]
        here = values != 0
        self.counts += torch.bincount(place[here], minlength=self.counts.numel()).view_as(self.counts)
        self.zeros += (~here).sum(1)
        self.total += values.shape[1]
        peaks = values.amax(1)
        many = (values == peaks[:, None]).sum(1)
        self.at_largest = torch.where(peaks > self.largest, many, self.at_largest + many * (peaks == self.largest))
        self.largest = torch.maximum(self.largest, peaks)

    def _widen(self, wanted: Tensor) -> None:
        """Merge neighbouring bins of each unit until they are as wide as wanted, or wider."""
        steps = (wanted - self.exponent).clamp(min=0)
        self.exponent += steps
        for step in range(min(int(steps.max()), self.bins.bit_length())):
            units = ((steps > step) & self.counts.any(1)).nonzero()[:, 0]
            if not len(units):
                return
            merged = self.counts[units].view(len(units), self.half, 2).sum(2)
            self.counts[units] = 0
            self.counts[units, self.half // 2 : self.half // 2 + self.half] = merged

    def above(self, share: float) -> tuple[Tensor, Tensor]:
        """The values that units exceed at `share` of the positions, and how far they may be off.

        The exact quantile is the smallest value of the stream that at most `share` of all values exceed. If that is a
        value of many positions, fewer exceed it. Where it is the largest one, as in a unit that saturates, none do,
        although the unit is as active there as it can be: Bau et al. count activations at the threshold as on, so that
        unit's threshold lies just below. Not if the unit is constant, or never above 0.

        Returns:
            Thresholds (units,) and bounds (units,), float64: the exact quantile lies between threshold less bound and
            threshold; in units that saturate between threshold and threshold plus bound. The bound is 0 where the
            quantile is 0, and else the width of a bin, at most 4 / bins of the unit's largest magnitude; in units that
            saturate 2^-16 of their largest value.
        """
        rank = self.total - int(share * self.total)  # of the quantile, from 1
        ordered = torch.cat([self.counts[:, : self.half], self.zeros[:, None], self.counts[:, self.half :]], 1)
        place = (ordered.cumsum(1) < rank).sum(1)
        width = torch.exp2(self.exponent.double())
        is_zero = place == self.half
        upper = torch.where(place < self.half, place + 1, place) - self.half  # the upper edge, in bins from 0
        found, bound = torch.where(is_zero, 0.0, upper * width), torch.where(is_zero, 0.0, width)
        most, saturated = self.largest.double(), self.saturated(share)
        return torch.where(saturated, most * (1 - _BELOW), found), torch.where(saturated, most * _BELOW, bound)

    def saturated(self, share: float) -> Tensor:
        """Units (units,) bool that are at their largest value, above 0, at more than `share` of the positions."""
        many = (self.at_largest > int(share * self.total)) & (self.at_largest < self.total)
        return many & (self.largest > 0)
