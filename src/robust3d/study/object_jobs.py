"""Plans the jobs that make objects: meshes, views and volumes of families and voxel sets."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

from robust3d import registry
from robust3d.data.splits import split_instances
from robust3d.seeds import seed_of
from robust3d.study.config import Study
from robust3d.study.entries import Objects
from robust3d.study.jobs import Inputs, Job, slug
from robust3d.study.on_disk import OnDisk


class ObjectJobs:
    """The part of `Plan` on objects."""

    def __init__(self, study: Study, on_disk: OnDisk | None = None) -> None:
        self.study = study
        self.on_disk = on_disk or OnDisk()
        self.jobs: dict[tuple[str, str], Job] = {}

    def add(self, job: Job) -> Job:
        """Register a job, with the modules of the sets that it opens; returns the equal job if there is one already."""
        opens = [made.plugins for files in job.inputs.values() for made, _ in files if made.stage == "draw_set"]
        plugins = tuple(dict.fromkeys([*job.plugins, *(plugin for found in opens for plugin in found)]))
        job = dataclasses.replace(job, plugins=plugins, numerics=self.study.numerics)
        return self.jobs.setdefault((job.stage, job.id), job)

    # --- shapes and views -------------------------------------------------------------------------------------

    @functools.cached_property
    def _families(self) -> dict[str, tuple[Any, Any]]:
        return {
            name: (registry.load("family", objects.kind), objects.shape_params())
            for name, objects in {**self.study.families, **self.study.voxels}.items()
        }

    def _objects(self, name: str) -> Objects:
        """A family or a voxel set: they have different names."""
        return self.study.families.get(name) or self.study.voxels[name]

    def classes(self, family: str) -> tuple[str, ...]:
        """Class names in label order."""
        return self._families[family][1].classes

    @functools.cache  # noqa: B019  (a plan lives as long as the process)
    def instances(self, family: str) -> tuple[str, ...]:
        """Instance ids, the same for every class."""
        module, params = self._families[family]
        return tuple(module.instance_ids(params, self.study.seed))

    @functools.cache  # noqa: B019
    def inventory(self, family: str) -> Job:
        """Lists the files of a published family on disk; missing files end the run before other jobs start."""
        kind, params = self._objects(family).kind, self._families[family][1]
        job_params = {"kind": kind, "source": params, "data_on_disk": self.on_disk.family(kind, params)}
        key = f"{'families' if family in self.study.families else 'voxels'}.{family}.shapes"
        return self.add(Job("inventory", slug(family), job_params, plugins=(("family", kind),), key=key))

    def _from_disk(self, family: str) -> Inputs:
        """The inventory as an input, for families that are read from disk."""
        published = self._objects(family).source != "built"
        return {"inventory": ((self.inventory(family), "inventory"),)} if published else {}

    @functools.cache  # noqa: B019
    def build_shapes(self, family: str, class_name: str) -> Job:
        """The meshes of one class, or of all classes where their kind builds them together."""
        module, params = self._families[family]
        kind, together = self._objects(family).kind, self._objects(family).together
        job_params = {"kind": kind, "shapes": params if together else module.only(params, class_name)}
        job_params |= {"class_name": "" if together else class_name, "seed": self.study.seed}
        label = family if together else f"{family}-{class_name}"
        return self.add(Job("build_shapes", slug(label), job_params, plugins=(("family", kind),)))

    def _read(self, stage: str, family: str, class_name: str, block: int) -> Job:
        """Reads one block of a class of a published family: meshes or views."""
        module, params = self._families[family]
        kind = self._objects(family).kind
        job_params = {"kind": kind, "source": module.only(params, class_name), "class_name": class_name}
        job_params |= {"block": [block, params.shards]}
        label = slug(f"{family}-{class_name}-{block:03d}")
        return self.add(Job(stage, label, job_params, self._from_disk(family), plugins=(("family", kind),)))

    @functools.cache  # noqa: B019
    def shards(self, family: str) -> tuple[Job, ...]:
        """The jobs that make a family's files of views: for each class, blocks of instances by the hash of their id."""
        jobs: list[Job] = []
        if self.study.families[family].source == "built":
            for classes in self._class_blocks(family):
                shapes = self.build_shapes(family, classes[0])
                blocks = sorted(self._blocks(family).items())
                jobs += [self._render_shard(family, classes, shapes, *block) for block in blocks]
            return tuple(jobs)
        for class_name in self.classes(family):
            for block in range(self._families[family][1].shards):
                if self.study.families[family].source == "views":
                    jobs.append(self._read("read_shard", family, class_name, block))
                else:
                    shapes = self._read("read_shapes", family, class_name, block)
                    jobs.append(self._render_shard(family, (class_name,), shapes, block, None))
        return tuple(jobs)

    def _class_blocks(self, family: str) -> Iterator[tuple[str, ...]]:
        """The classes whose views are in one file."""
        classes, size = self.classes(family), self.study.families[family].shard_classes or 1
        yield from (classes[first : first + size] for first in range(0, len(classes), size))

    @functools.cache  # noqa: B019
    def _blocks(self, family: str) -> dict[int, list[str]]:
        """The instances of each block of a built family; of those that are rendered."""
        instances, split = self.instances(family), self.study.families[family].split
        n_blocks = -(-len(instances) // (self.study.families[family].shard_instances or 1))
        rendered = set(instances)
        if split is not None and split.parts is not None:
            module, params = self._families[family]
            by_orbit = functools.partial(module.orbit, params) if split.mode == "orbit" else None
            found = split_instances(instances, split, self.study.seed, by_orbit)
            rendered = {instance for part in split.parts for instance in found[part]}
        blocks: dict[int, list[str]] = {}
        for instance in (one for one in instances if one in rendered):
            blocks.setdefault(seed_of("block", instance) % n_blocks, []).append(instance)
        return blocks

    def _render_shard(
        self, family: str, classes: tuple[str, ...], shapes: Job, block: int, members: list[str] | None
    ) -> Job:
        """Renders the instances of a block; `members` None: all meshes of the file, which are not known yet."""
        config = self.study.families[family]
        module, params = self._families[family]
        job_params = {
            "class_name": "" if config.together else classes[0],
            "instances": members,
            "cameras": config.cameras,
            "render": config.render,
            "extent": module.extent(params),
            "seed": self.study.seed,
        }
        if config.together:
            job_params["classes"] = classes
        inputs: Inputs = {"shapes": ((shapes, "shapes"),)}
        return self.add(Job("render_shard", slug(f"{family}-{classes[0]}-{block:03d}"), job_params, inputs))

    @functools.cache  # noqa: B019
    def index_views(self, family: str) -> Job:
        """The family's manifest: its shards, classes and splits."""
        config = self.study.families[family]
        module, params = self._families[family]
        job_params = {
            "family": family,
            "classes": self.classes(family),
            "extent": module.extent(params),
            "views": config.views,
            "resolution_px": config.resolution_px,
            "split": config.split,
            "groups": self._groups(family),
            "seed": self.study.seed,
        }
        if config.split is not None and config.split.parts is not None:
            job_params["every_instance"] = self.instances(family)
        inputs: Inputs = {"shards": tuple((job, "manifest") for job in self.shards(family)), **self._from_disk(family)}
        return self.add(Job("index_views", slug(family), job_params, inputs, self._bulk(family)))

    def _groups(self, name: str) -> dict[str, str]:
        """The near-duplicate group of each instance, where a built family is divided by them."""
        split = self._objects(name).split
        if self._objects(name).source != "built" or split is None or split.mode != "orbit":
            return {}
        module, params = self._families[name]
        return {instance: module.orbit(params, instance) for instance in self.instances(name)}

    @functools.cache  # noqa: B019
    def _bulk(self, family: str) -> Inputs:
        """The shards (HDF5) of a family, which its manifest lists."""
        return {"shards": tuple((job, "views") for job in self.shards(family))}

    # --- voxels -----------------------------------------------------------------------------------------------

    @functools.cache  # noqa: B019
    def volumes(self, name: str) -> tuple[Job, ...]:
        """The jobs that make a voxel set's files of volumes: one for each file of meshes, or each block from disk."""
        source, jobs = self._objects(name).source, []
        for class_name in self.classes(name):
            for block in range(1 if source == "built" else self._families[name][1].shards):
                if source == "volumes":
                    jobs.append(self._read("read_volumes", name, class_name, block))
                    continue
                shapes = self._read("read_shapes", name, class_name, block) if source == "meshes" else None
                shapes = shapes or self.build_shapes(name, class_name)
                job_params = {
                    "class_name": class_name,
                    "voxels": self.study.voxels[name].voxels,
                    "seed": self.study.seed,
                    "prefix": f"{class_name}/" if self.study.voxels[name].together else "",
                }
                inputs: Inputs = {"shapes": ((shapes, "shapes"),)}
                label = slug(f"{name}-{class_name}-{block:03d}")
                jobs.append(self.add(Job("voxelise_shard", label, job_params, inputs)))
        return tuple(jobs)

    @functools.cache  # noqa: B019
    def index_voxels(self, name: str) -> Job:
        """The manifest of a voxel set: its files, classes and splits."""
        files, split = self.volumes(name), self.study.voxels[name].split
        job_params = {
            "name": name,
            "classes": self.classes(name),
            "split": split,
            "groups": self._groups(name),
            "seed": self.study.seed,
        }
        inputs: Inputs = {"volumes": tuple((job, "manifest") for job in files), **self._from_disk(name)}
        return self.add(Job("index_voxels", slug(name), job_params, inputs, self._bulk_volumes(name)))

    def _bulk_volumes(self, name: str) -> Inputs:
        return {"volumes": tuple((job, "volumes") for job in self.volumes(name))}

    def voxels(self, name: str) -> tuple[Inputs, Inputs]:
        """A voxel set as inputs of a job: (inputs, bulk files); the job opens `voxels` with `open_voxels`."""
        return {"voxels": ((self.index_voxels(name), "manifest"),)}, self._bulk_volumes(name)
