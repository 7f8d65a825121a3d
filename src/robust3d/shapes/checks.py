"""What makes a mesh a solid, measured by trimesh."""

from dataclasses import dataclass

import numpy as np

from robust3d.shapes.mesh import Mesh


@dataclass(frozen=True)
class MeshReport:
    """Topology and size of a mesh, as it is: no vertices are merged first.

    Attributes:
        watertight: every edge belongs to exactly two faces.
        winding_consistent: neighbouring faces run along their common edge in opposite directions.
        euler: V - E + F; 2 for one closed body without holes.
        bodies: number of connected components.
        volume: signed; positive where faces are wound outwards.
        degenerate_faces: faces without area.
        low, high: corners of the bounding box.
    """

    watertight: bool
    winding_consistent: bool
    euler: int
    bodies: int
    volume: float
    degenerate_faces: int
    low: tuple[float, float, float]
    high: tuple[float, float, float]

    @property
    def solid(self) -> bool:
        """Closed, wound outwards and without faces that have no area; any number of bodies."""
        return self.watertight and self.winding_consistent and self.volume > 0 and self.degenerate_faces == 0


def check(mesh: Mesh) -> MeshReport:
    """Measure a mesh; needs trimesh."""
    import trimesh

    surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    # A face counts as degenerate if it is flat to rounding error of its own size, whatever the mesh's scale.
    corners = mesh.vertices[mesh.faces]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    return MeshReport(
        watertight=bool(surface.is_watertight),
        winding_consistent=bool(surface.is_winding_consistent),
        euler=int(surface.euler_number),
        bodies=int(surface.body_count),
        volume=float(surface.volume),
        degenerate_faces=int((surface.area_faces <= 1e-9 * longest**2).sum()),
        low=(float(low[0]), float(low[1]), float(low[2])),
        high=(float(high[0]), float(high[1]), float(high[2])),
    )
