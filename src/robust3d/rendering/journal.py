"""Frames of a shard that is not finished yet, kept on disk so that a stopped render job goes on where it was."""

import time
from collections.abc import Iterator
from pathlib import Path

from robust3d.data.frame import Frame
from robust3d.data.shards import places, write_shard
from robust3d.errors import DamagedFile, UserError
from robust3d.files import clear_partial, partial, publish

Place = tuple[str, int]  # instance, view
EVERY_S = 60.0  # so much rendering is lost at most when a job is killed


class Journal:
    """A folder of small shards; each holds the frames of about a minute.

    Args:
        folder: that outlives the job.
        class_name: of all frames.
        resolution_px: of all frames.
    """

    def __init__(self, folder: Path, class_name: str, resolution_px: int) -> None:
        self.folder, self.class_name, self.resolution_px = folder, class_name, resolution_px
        self.unsaved: list[Frame] = []

    def held(self) -> dict[Place, Path]:
        """Where the frames of an earlier attempt are; a damaged file counts as never written, and goes."""
        found: dict[Place, Path] = {}
        for path in sorted(self.folder.glob("frames-*.h5")):
            try:
                found |= dict.fromkeys(places(path), path)
            except DamagedFile:
                path.unlink()
            except UserError:
                continue  # rendered again, but left alone: it may be the file system that is at fault
        return found

    def keep(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass the frames on and save them every now and then."""
        saved = time.monotonic()
        for frame in frames:
            self.unsaved.append(frame)
            yield frame
            if time.monotonic() - saved >= EVERY_S:
                self.save()
                saved = time.monotonic()

    def save(self) -> None:
        """Write what has come since the last time."""
        if not self.unsaved:
            return
        last = max(self.folder.glob("frames-*.h5"), default=Path("frames--1"))
        path = self.folder / f"frames-{int(last.stem.removeprefix('frames-')) + 1:06d}.h5"
        clear_partial(path)
        write_shard(
            partial(path),
            self.unsaved,
            class_name=self.class_name,
            resolution_px=self.resolution_px,
            extent=1.0,  # not known here, and of no meaning for a frame
        )
        publish(partial(path), path)
        self.unsaved = []
