"""Lets a job, and every process that it starts, run the source that was read at its start.

Modules are loaded when they are needed, workers are started late, and files may be edited meanwhile. Python's cache of
compiled modules is not used: it is taken for a source's if whole seconds and length agree, as they may after an edit.
"""

import os
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType

VARIABLE = "ROBUST3D_SOURCES"  # tells processes that a job starts where its sources are; `robust3d` looks at it

Sources = Mapping[str, tuple[str, bytes]]  # of modules: path and content


@contextmanager
def held(sources: Sources, file: Path) -> Iterator[None]:
    """Modules that are loaded meanwhile, here and in processes started here, are compiled from `sources`.

    Args:
        sources: what to load.
        file: where other processes find it.
    """
    file.write_bytes(pickle.dumps(sources))
    finder = _Finder(sources)
    sys.meta_path.insert(0, finder)
    os.environ[VARIABLE] = str(file.resolve())
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        sys.meta_path.remove(finder)


def join() -> None:
    """In a process that a job has started: load the job's sources."""
    sys.meta_path.insert(0, _Finder(pickle.loads(Path(os.environ[VARIABLE]).read_bytes())))


class _Finder(MetaPathFinder):
    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Leave modules that are not held to Python."""
        if fullname not in self.sources:
            return None
        path, content = self.sources[fullname]
        return spec_from_file_location(fullname, path, loader=_Loader(fullname, path, content))


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, content: bytes) -> None:
        super().__init__(fullname, path)
        self.content = content

    def get_code(self, fullname: str) -> CodeType:
        """Compile what is held."""
        code: CodeType = self.source_to_code(self.content, self.path)
        return code
