"""Many comparisons in one table."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down p-values, which hold for all comparisons together whatever their dependence (Holm 1979).

    The smallest of m p-values counts m times, the next m - 1 times, and so on; none is below a smaller one's, or
    above 1.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted
