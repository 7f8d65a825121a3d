"""Poses the vertices of glTF meshes that hang on joints (skins), in the pose that the file gives its joints."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT = 5126


class NoSkin(ValueError):
    """A skin that cannot be followed."""


def joint_matrices(header: dict[str, Any], buffers: Sequence[bytes], skin: int) -> NDArray[np.float64]:
    """(J, 4, 4): for each joint of a skin what moves vertices from the mesh into the scene.

    Args:
        header: the file's JSON.
        buffers: of the file.
        skin: its number.

    Raises:
        NoSkin: there is no such skin, joint or matrix.
    """
    try:
        given = header["skins"][skin]
        parents = {child: at for at, node in enumerate(header["nodes"]) for child in node.get("children", ())}
        placed = np.stack([_place(header["nodes"], joint, parents) for joint in given["joints"]])
        if "inverseBindMatrices" not in given:
            return placed
        return placed @ _matrices(header, buffers, given["inverseBindMatrices"])[: len(placed)]
    except (KeyError, IndexError, TypeError, ValueError):
        raise NoSkin("matrices of joints") from None


def _matrices(header: dict[str, Any], buffers: Sequence[bytes], accessor: int) -> NDArray[np.float64]:
    """(n, 4, 4) of an accessor, which holds columns."""
    given = header["accessors"][accessor]
    view = header["bufferViews"][given["bufferView"]]
    if given["componentType"] != _FLOAT or given["type"] != "MAT4" or view.get("byteStride", 64) != 64:
        raise NoSkin("matrices of joints")
    start = view.get("byteOffset", 0) + given.get("byteOffset", 0)
    numbers = np.frombuffer(buffers[view["buffer"]], "<f4", 16 * given["count"], start)
    return numbers.reshape(-1, 4, 4).transpose(0, 2, 1).astype(np.float64)


def _place(nodes: Sequence[dict[str, Any]], number: int, parents: dict[int, int]) -> NDArray[np.float64]:
    """(4, 4) of a node in the scene."""
    place = np.eye(4)
    for _ in nodes:  # a node that is its own ancestor must not hold it up
        place = _own(nodes[number]) @ place
        if number not in parents:
            return place
        number = parents[number]
    raise NoSkin("nodes in a circle")


def _own(node: dict[str, Any]) -> NDArray[np.float64]:
    """(4, 4) of a node in its parent."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    own = np.eye(4)
    own[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), np.float64)
    own[:3, 3] = node.get("translation", (0, 0, 0))
    return own


def vertex_matrices(
    matrices: NDArray[np.float64], joints: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(V, 4, 4): what moves each vertex into the scene.

    Args:
        matrices: (J, 4, 4) of `joint_matrices`.
        joints: (V, 4) the joints of each vertex.
        weights: (V, 4) of these; they count by their shares of the sum.

    Raises:
        NoSkin: a joint is not there, or a vertex hangs on none.
    """
    total = weights.sum(axis=1, keepdims=True)
    if joints.shape != weights.shape or joints.max(initial=0) >= len(matrices) or not (total > 0).all():
        raise NoSkin("joints and weights of vertices")
    return np.einsum("vk,vkij->vij", weights / total, matrices[joints.astype(np.int64)])
