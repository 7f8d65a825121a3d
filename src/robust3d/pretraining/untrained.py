"""No pre-training: a column of classifiers from scratch of another architecture than the others'.

It is the control of a pre-training whose architecture differs, such as ImageNet's weights of EfficientNet-Lite0. No
encoder is made: the classifier draws its weights as any from scratch. The entry's `normalisation` is that of
classifiers that take it from their `source`.
"""

from robust3d.params import Params as Base


class Params(Base):
    """There is nothing to choose."""
