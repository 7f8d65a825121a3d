"""The compositing arithmetic of rendered pictures and of those from disk."""

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]


def compose(rgba: U8, background: U8 | int) -> U8:
    """Straight-alpha "over", rounded to the nearest integer in the stored sRGB values.

    Args:
        rgba: (..., 4) uint8, colour not multiplied by alpha.
        background: (..., 3) uint8, or one grey value.

    Returns:
        (..., 3) uint8; where alpha is 255 the object's own values, bit for bit.
    """
    alpha = rgba[..., 3:].astype(np.uint16)
    over = rgba[..., :3] * alpha + np.asarray(background, np.uint16) * (255 - alpha)
    # At most 255 * 255 + 127 < 2**16. No tie exists since 255 is odd, so this is the exact rounding.
    return ((over + np.uint16(127)) // np.uint16(255)).astype(np.uint8)
