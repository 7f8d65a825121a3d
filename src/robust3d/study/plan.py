"""Plans the jobs of a study. Tables and figures are also copied to stable names (`published_paths`)."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from robust3d import registry
from robust3d.errors import UserError
from robust3d.named import input_name
from robust3d.study.entries import RANDOM, Experiment
from robust3d.study.jobs import Inputs, Job, slug
from robust3d.study.learning_jobs import pretraining_data
from robust3d.study.object_jobs import ObjectJobs
from robust3d.study.targets import target_stage, targets


class Plan(ObjectJobs):
    """All jobs of a study; equal jobs are one object."""

    # --- data sets --------------------------------------------------------------------------------------------

    @functools.cached_property
    def textures(self) -> Job:
        """The background textures."""
        job_params = {"textures": self.study.textures, "seed": self.study.seed}
        if self.study.textures.path is not None:
            job_params["data_on_disk"] = self.on_disk.textures(self.study.textures, self.study.seed)
        return self.add(Job("make_textures", self.study.textures.source, job_params))

    def views(self, family: str, *seen: Any) -> tuple[Inputs, Inputs]:
        """A family's views on some backgrounds or in a set, as inputs of a job: (inputs, bulk files)."""
        needs_textures = any(one.needs_textures for one in seen)
        inputs: Inputs = {
            "views": ((self.index_views(family), "manifest"),),
            "textures": ((self.textures, "textures"),) if needs_textures else (),
        }
        return inputs, self._bulk(family)

    @functools.cache  # noqa: B019
    def draw_set(self, name: str) -> Job:
        """The table of one classification set: image ids, classes and splits, for views also the backgrounds."""
        image_set, family = self.study.sets[name], self.study.family_of(name)
        inputs = self.views(family, image_set)[0] if family is not None else {}
        if parts := self.study.parts_of(name):
            inputs = {"set": tuple((self.draw_set(part), "table") for part in parts)}
        job_params = {"set": self.set_params(name), "seed": self.study.seed, **self.on_disk.image_set(image_set)}
        return self.add(
            Job("draw_set", slug(name), job_params, inputs, plugins=(("set", image_set.kind),), key=f"sets.{name}")
        )

    @functools.cache  # noqa: B019
    def pack_images(self, name: str) -> tuple[Job, ...]:
        """The pixels of a set of pictures, one job per block."""
        drawn, shards = self.draw_set(name), self.study.sets[name].shards
        job_params = [{**drawn.params, "block": [block, shards]} for block in range(shards)]
        inputs: Inputs = {"set": ((drawn, "table"),)}
        return tuple(
            self.add(Job("pack_images", slug(f"{name}-{i:03d}"), job_params[i], inputs)) for i in range(shards)
        )

    def set_params(self, name: str) -> dict[str, Any]:
        """The parameters of a set in a job: all but the family, whose manifest is an input; with those of its parts."""
        params: dict[str, Any] = self.study.sets[name].model_dump(mode="json", exclude={"family"})
        if parts := self.study.parts_of(name):
            params["parts"] = [self._part(part) for part in parts]
        return params

    def _part(self, name: str) -> dict[str, Any]:
        """A set that another is made of: its name, its parameters, and the number of its files of each kind."""
        inputs = self.set_inputs(name)[0]
        counts = {kind: len(inputs.get(kind, ())) for kind in ("set", "views", "textures", "images")}
        return {"name": name, "params": self.set_params(name), "files": counts}

    def set_inputs(self, name: str) -> tuple[Inputs, Inputs]:
        """A set as inputs of a job: (inputs, bulk files)."""
        family = self.study.family_of(name)
        if parts := self.study.parts_of(name):
            inputs, bulk = self._together([self.set_inputs(part) for part in parts])
            return {**inputs, "set": ((self.draw_set(name), "table"), *inputs["set"])}, bulk
        if family is not None:
            inputs, bulk = self.views(family, self.study.sets[name])
        else:
            packs = self.pack_images(name)
            inputs, bulk = ({"images": tuple((job, output) for job in packs)} for output in ("manifest", "images"))
        return {"set": ((self.draw_set(name), "table"),), **inputs}, bulk

    @staticmethod
    def _together(parts: list[tuple[Inputs, Inputs]]) -> tuple[Inputs, Inputs]:
        """The inputs and bulk files of several sets, one after the other."""
        joined: tuple[Inputs, Inputs] = ({}, {})
        for found in parts:
            for held, files in zip(joined, found, strict=True):
                held |= {kind: (*held.get(kind, ()), *these) for kind, these in files.items()}
        return joined

    def named_sets(self, sets: Mapping[str, str]) -> tuple[Inputs, Inputs]:
        """The same for several sets. `sets` maps the name of an input to a key of the study's `sets`."""
        inputs: Inputs = {}
        bulk: Inputs = {}
        for name, key in sets.items():
            files, shards = self.set_inputs(key)
            inputs |= {input_name(kind, name): found for kind, found in files.items()}
            bulk |= {input_name(kind, name): found for kind, found in shards.items()}
        return inputs, bulk

    # --- models -----------------------------------------------------------------------------------------------

    def pretrain(self, key: str, experiment: Experiment, seed: int) -> Job:
        """A pre-training on its own data or the experiment's; with `pretraining_seed` all training seeds share one."""
        experiment, entry = self.study.pretraining_experiment(experiment), self.study.pretraining[key]
        shared = None if experiment.has_one_per_seed(key) else self.study.pretraining_seed
        seed = seed if shared is None else shared
        data, (inputs, bulk), shown = pretraining_data(self, entry, experiment)
        if entry.start != RANDOM:
            start = self.encoder(entry.start, experiment, seed)
            inputs |= {"encoder": ((start, "encoder"),), "encoder_info": ((start, "info"),)}
        job_params = {
            "method": entry.method,
            "params": entry.method_params(),
            "architecture": entry.architecture,
            "normalisation": entry.normalisation,
            **shown,
            "seed": seed,
            "data_seed": self.study.seed,
        }
        label = slug(f"{key}-{data}-s{seed}")
        plugins = (("pretraining", entry.method), ("architecture", entry.architecture.name))
        return self.add(Job("pretrain", label, job_params, inputs, bulk, plugins))

    def encoder(self, key: str, experiment: Experiment, seed: int) -> Job:
        """The encoder file, extracted from a pre-training or imported from weights on disk."""
        entry = self.study.pretraining[key]
        if not entry.trains:
            params = entry.method_params()
            job_params = {"method": entry.method, "params": params, "architecture": entry.architecture}
            found = self.on_disk.weights(params.weights, entry.architecture)
            job_params |= {"normalisation": entry.normalisation, "weights_sha256": found}
            plugins = (("pretraining", entry.method), ("architecture", entry.architecture.name))
            return self.add(Job("import_encoder", slug(key), job_params, plugins=plugins))
        source = self.pretrain(key, experiment, seed)
        inputs: Inputs = {"model": ((source, "model"),), "model_info": ((source, "info"),)}
        return self.add(Job("extract_encoder", source.label, {}, inputs))

    def train_classifier(self, key: str, experiment: Experiment, pretraining: str | None, seed: int) -> Job:
        """A classifier from scratch or from an encoder."""
        return self.add(self.classifier_job(key, experiment, pretraining, seed))

    def classifier_job(self, key: str, experiment: Experiment, pretraining: str | None, seed: int) -> Job:
        """The same job, not registered: others take its parameters and inputs."""
        inputs, bulk = self.set_inputs(experiment.set)
        is_started = pretraining is not None and self.study.pretraining[pretraining].gives_encoder
        encoder = self.encoder(pretraining, experiment, seed) if pretraining and is_started else None
        inputs["encoder"] = ((encoder, "encoder"),) if encoder else ()
        inputs["encoder_info"] = ((encoder, "info"),) if encoder else ()
        training = self.study.classifiers[key]
        architecture = self.study.architecture(key, pretraining)
        own: dict[str, Any] = {"seed": seed, "architecture": architecture}
        if pretraining and not is_started and training.normalisation == "source":
            own["normalisation"] = self.study.pretraining[pretraining].normalisation
        job_params = {
            "classifier": training.model_copy(update=own),
            "set": self.set_params(experiment.set),
        }
        label = slug(f"{experiment.set}-{key}-{pretraining or 'scratch'}-s{seed}")
        plugins = (("training", training.objective), ("architecture", architecture.name))
        return Job("train_classifier", label, job_params, inputs, bulk, plugins)

    # --- probes -----------------------------------------------------------------------------------------------

    def outcomes(self, classifier: Job, probe: str, experiment: Experiment) -> Job:
        """Runs a probe (key of `probes` or `attacks`) on a classifier, on the probe's own sets or the experiment's."""
        asked = self.study.probe(probe, experiment)
        inputs, bulk = self.named_sets(asked.sets)
        inputs["classifier"] = ((classifier, "classifier"),)
        inputs["classifier_info"] = ((classifier, "info"),)
        job_params = {
            "probe": asked.module,
            "params": asked.params,
            "sets": {name: self.set_params(key) for name, key in asked.sets.items()},
        }
        label = slug(f"{classifier.label}-{probe}")
        plugins = (("probe", asked.module), *(plugin for plugin in classifier.plugins if plugin[0] == "architecture"))
        return self.add(Job("probe", label, job_params, inputs, bulk, plugins))

    # --- targets of a user ------------------------------------------------------------------------------------

    @functools.cache  # noqa: B019
    def target(self, name: str) -> Job:
        """The job of a table or figure; its module lists its inputs."""
        stage, paper = target_stage(name), registry.paper_of(name)
        if paper not in self.study.papers:
            raise UserError(f"papers.{paper}: missing; {name} needs this section of the configuration")
        job_params, inputs, bulk = registry.load("target", name).sources(self, self.study.papers[paper])
        opened = [made.plugins for files in inputs.values() for made, _ in files if made.stage == "train_classifier"]
        networks = [plugin for plugins in opened for plugin in plugins if plugin[0] == "architecture"]
        plugins = (("target", name), *dict.fromkeys(networks))
        return self.add(Job(stage, slug(name), {"target": name, **job_params}, inputs, bulk, plugins))

    def _makers(self) -> Iterator[Callable[[], object]]:
        """Functions that plan every family, voxel set, table, figure and set with the jobs they depend on."""
        yield from (functools.partial(self.index_views, family) for family in self.study.families)
        yield from (functools.partial(self.index_voxels, name) for name in self.study.voxels)
        yield from (functools.partial(self.target, name) for paper in self.study.papers for name in targets(paper))
        yield from (functools.partial(self.set_inputs, name) for name in self.study.sets)

    def every_job(self) -> list[Job]:
        """The jobs of all tables, figures, families and sets."""
        for make in self._makers():
            make()
        return list(self.jobs.values())

    def find(self, stage: str, job: str) -> Job | None:
        """The job of a folder, planning as little as possible; None if no family, table or figure needs it."""
        makers = self._makers()
        while (stage, job) not in self.jobs:
            make = next(makers, None)
            if make is None:
                return None
            make()
        return self.jobs[stage, job]

    def columns(self, experiment: str) -> Iterator[tuple[str, str | None]]:
        """(label, pre-training) of an experiment's columns: from scratch, then the paper's order, then by name."""
        yield "AT", None
        for key in self.study.compared(experiment):
            yield f"{self.study.pretraining[key].label}+AT", key
