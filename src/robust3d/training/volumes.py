"""What trainings on volumes check before they begin."""

from robust3d.data.volumes import VoxelData
from robust3d.errors import UserError


def check_volumes(volumes: VoxelData, held_out: VoxelData, resolution: int, key: str) -> None:
    """Refuse volumes of another size than the network's, and splits without volumes.

    Args:
        volumes: to train on.
        held_out: to validate on.
        resolution: side of the volumes that the network takes.
        key: that says so, for the message.

    Raises:
        UserError: what is wrong.
    """
    if volumes.resolution != resolution:
        raise UserError(
            f"{key}: {resolution}, but the volumes have {volumes.resolution} voxels along a side; give both the same"
        )
    if not len(volumes) or not len(held_out):
        raise UserError(f"there are {len(volumes)} volumes to train on and {len(held_out)} to validate on")
