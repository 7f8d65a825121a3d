"""Fewer vertices for a triangle mesh: edges collapse where the surface changes least (Garland and Heckbert 1997).

Many edges collapse at once, none of which meet, so that a mesh takes a few rounds of array operations. A closed mesh
stays closed: an edge stays where its collapse would glue two sheets together.
"""

import numpy as np

from robust3d.shapes.procedural.solids import Floats

_SHARE = 0.5  # of the edges, the cheapest, that may collapse in one round
_LENGTH = 1e-3  # weight of an edge's length, so that flat parts get even triangles


def decimate(vertices: Floats, faces: np.ndarray, most: int) -> tuple[Floats, np.ndarray]:
    """Vertices (V, 3) and triangles (F, 3) of which at most `most` vertices are left, if the mesh allows it."""
    while len(vertices) > most:
        edges = _edges(faces, len(vertices))
        places, costs = _best_places(vertices, faces, edges)
        costs = np.where(_may_collapse(edges, len(vertices)), costs, np.inf)
        chosen = _apart(edges, costs, len(vertices))
        chosen = chosen[np.argsort(costs[chosen], kind="stable")][: len(vertices) - most]
        if not len(chosen):
            break
        kept, gone = edges[chosen, 0], edges[chosen, 1]
        vertices[kept] = places[chosen]
        to = np.arange(len(vertices))
        to[gone] = kept
        faces = to[faces]
        whole = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
        faces = faces[whole]
        used, inverse = np.unique(faces, return_inverse=True)
        vertices, faces = vertices[used], inverse.reshape(faces.shape)
    return vertices, faces


def _edges(faces: np.ndarray, count: int) -> np.ndarray:
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    keys = np.unique(pairs[:, 0] * np.int64(count) + pairs[:, 1])
    return np.stack(np.divmod(keys, count), axis=1)


def _best_places(vertices: Floats, faces: np.ndarray, edges: np.ndarray) -> tuple[Floats, Floats]:
    """Where each edge would best collapse to, its middle or an end, and how far that is from the planes around it."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=1)
    plane = np.concatenate([normal, -(normal * a).sum(1, keepdims=True)], axis=1)
    plane /= np.maximum(area, 1e-15)[:, None]
    quadrics = np.einsum("f,fi,fj->fij", area, plane, plane).reshape(-1, 16)
    index = faces.ravel()
    sums = np.stack([np.bincount(index, np.repeat(q, 3), minlength=len(vertices)) for q in quadrics.T], axis=1)
    both = (sums[edges[:, 0]] + sums[edges[:, 1]]).reshape(-1, 4, 4)
    ends = vertices[edges]
    candidates = np.stack([ends.mean(axis=1), ends[:, 0], ends[:, 1]], axis=1)  # (E, 3, 3)
    full = np.concatenate([candidates, np.ones((*candidates.shape[:2], 1))], axis=2)
    costs = np.einsum("eki,eij,ekj->ek", full, both, full)
    best = costs.argmin(axis=1)
    rows = np.arange(len(edges))
    squares = ((ends[:, 0] - ends[:, 1]) ** 2).sum(1)
    return candidates[rows, best], costs[rows, best] + _LENGTH * squares**2


def _may_collapse(edges: np.ndarray, count: int) -> np.ndarray:
    """Edges whose ends have exactly two neighbours in common, those of their two triangles."""
    from scipy.sparse import csr_matrix

    ends = np.concatenate([edges, edges[:, ::-1]])
    beside = csr_matrix((np.ones(len(ends), np.int32), (ends[:, 0], ends[:, 1])), shape=(count, count))
    common = np.asarray(beside[edges[:, 0]].multiply(beside[edges[:, 1]]).sum(axis=1)).ravel()
    return np.asarray(common == 2)


def _apart(edges: np.ndarray, costs: Floats, count: int) -> np.ndarray:
    """Edges among the cheapest that are cheaper than all edges at their ends and at their ends' neighbours."""
    rank = np.empty(len(edges), np.int64)
    rank[np.argsort(costs, kind="stable")] = np.arange(len(edges))
    least = np.full(count, len(edges))
    np.minimum.at(least, edges.ravel(), np.repeat(rank, 2))
    around = least.copy()
    np.minimum.at(around, edges.ravel(), least[edges[:, ::-1]].ravel())
    least_of = np.minimum(around[edges[:, 0]], around[edges[:, 1]])
    return np.flatnonzero((rank == least_of) & np.isfinite(costs) & (rank < _SHARE * len(edges)))
