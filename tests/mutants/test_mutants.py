"""Each load-bearing check is shown a broken version of the code and has to catch it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    file: str  # under src/robust3d
    old: str
    new: str
    tests: str  # file under tests/
    chosen: str  # pytest -k


# fmt: off
MUTANTS = [
    # shapes
    Mutant("shapes/codes.py", '"ec_p", "ec_t"', '"ec_t", "ec_p"', "shapes/test_geons.py", "figure_8"),
    Mutant("shapes/sweep.py", "return 1 - (1 - shape.waist) * bump", "return shape.waist + (1 - shape.waist) * bump", "shapes/test_geons.py", "closed_body"),
    Mutant("shapes/sweep.py", "following = np.roll(index, -1, axis=1)", "following = np.roll(index, 1, axis=1)", "shapes/test_geons.py", "closed_body"),
    Mutant("shapes/geons.py", ".scaled(factors)", ".scaled(factors[::-1])", "shapes/test_geons.py", "bounding_box"),
    # cameras, views, shards
    Mutant("cameras.py", "np.diag([1.0, -1.0, -1.0, 1.0])", "np.diag([1.0, 1.0, -1.0, 1.0])", "rendering/test_render.py", "r2"),
    Mutant("rendering/scene.py", '        self.camera = bpy.data.objects.new("camera", camera)', '        camera.shift_x = 0.5 / params.resolution_px\n        self.camera = bpy.data.objects.new("camera", camera)', "rendering/test_render.py", "r2"),
    Mutant("rendering/scene.py", 'depth[mask] = channels[f"{layer}.Depth.Z"][hit]', 'depth[mask] = channels[f"{layer}.Depth.Z"][hit].astype(np.float16)', "rendering/test_render.py", "r1"),
    Mutant("rendering/scene.py", "self.scene.cycles.seed = seed & 0x7FFFFFFF", "self.scene.cycles.seed += 1", "rendering/test_render.py", "r6"),
    Mutant("data/shards.py", "seen = frame.mask | (frame.rgba[..., 3] > 0)", "seen = frame.mask", "data/test_shards.py", "soft_edge"),
    # data that others published
    Mutant("shapes/polygons.py", "left = left[~_all_turn_alike(vertices[corners[left]], vertices[fans])]", "left = left[:0]", "shapes/test_polygons.py", "cover_what"),
    Mutant("shapes/polygons.py", "not _holds_any(points[triangle], points[ring], slack)", "True", "shapes/test_polygons.py", "cover_what"),
    Mutant("data/published/mesh_text.py", "if len(data) != total + faces:", "if len(data) < total + faces:", "data/published/test_mesh_text.py", "too_many"),
    Mutant("data/published/mesh_text.py", "seen[places][:, None] + whole", "total + whole", "data/published/test_mesh_text.py", "count_back"),
    Mutant("data/published/text.py", '.replace("\\r", "\\n")', "", "data/published/test_text.py", "line_end"),
    Mutant("data/published/identity.py", "{status.st_size}\\t{status.st_mtime_ns}", "{status.st_size}", "data/published/test_identity.py", "what_changes"),
    Mutant("data/published/identity.py", "if not is_ours(entry.name):", "if False:", "data/published/test_identity.py", "what_does_not"),
    Mutant("data/shards.py", 'h5py.File(path, "r", locking=False)', 'h5py.File(path, "r")', "data/test_shards.py", "without_locks"),
    Mutant("study/yaml_text.py", "if _OCTAL.fullmatch(text):", "if False:", "study/test_yaml_text.py", "misread"),
    Mutant("provenance/published.py", 'if not all(map(_is_same, record["outputs"].values())):', "if False:", "provenance/test_published.py", "half_way"),
    Mutant("provenance/store.py", 'if sha256(target) != found.record["outputs"][name]["sha256"]:', "if False:", "provenance/test_published.py", "damaged"),
    Mutant("provenance/owner.py", "if owner and not _gone(owner, locked) and silent_s < SILENT_S:", "if False:", "provenance/test_owner.py", "fallen_silent"),
    Mutant("provenance/sources.py", "same = sha256(path) == wanted", "same = path.exists()", "provenance/test_sources.py", "mesh_changes"),
    # data sets
    Mutant("data/compositing.py", "np.uint16(127)", "np.uint16(0)", "data/test_backgrounds.py", "compose_is"),
    Mutant("data/backgrounds.py", '"test" if split == "test" else "train"', '"train"', "data/test_sets.py", "leaks"),
    Mutant("data/params.py", "shifted = names[-1:] + names[:-1]", "shifted = names[1:] + names[:1]", "data/test_backgrounds.py", "papers_maps"),
    Mutant("data/sets.py", 'numpy_generator(seed, "set", split, name)', 'numpy_generator(seed, "set", split, name, params.background.kind)', "data/test_sets.py", "r7"),
    Mutant("data/packed.py", "first + place * self._stride + begin", "first + begin", "imagesets/test_folder.py", "labels_and_pixels"),
    Mutant("data/packed.py", "packed.read(blocks[kept[index]], places[kept[index]])", "packed.read(blocks[here[index]], places[here[index]])", "imagesets/test_folder.py", "left_out_and_counted"),
    Mutant("imagesets/folder.py", "if entry.is_symlink() and not _is_inside", "if False and not _is_inside", "imagesets/test_folder.py", "refused_by_name"),
    Mutant("imagesets/folder.py", "\\t{found.time_ns}", "", "imagesets/test_folder.py", "identity"),
    Mutant("data/picture_sets.py", "sorted(shuffled[:count]), shuffled[count:]", "sorted(shuffled[:count]), shuffled", "imagesets/test_folder.py", "divided_class_by_class"),
    Mutant("data/images.py", "(*notices, *data.notices)", "data.notices", "imagesets/test_folder.py", "told_in_every_cell"),
    Mutant("data/splits.py", "groups.setdefault(orbit(name), [])", "groups.setdefault(name, [])", "data/test_splits.py", "orbit"),
    # views from disk
    Mutant("data/published/nmr.py", "self.at([self.numbers.index(number) for number in sorted(images)])", "self.at(range(len(images)))", "data/published/test_numbering.py", "never_read_wrongly"),
    Mutant("data/published/nmr.py", "min(images) != self.numbers[0] or ", "", "data/published/test_numbering.py", "never_read_wrongly or named"),
    Mutant("data/published/views.py", "return compose(picture, 255)", "return picture[..., :3]", "data/published/test_views.py", "white"),
    Mutant("data/published/views.py", "picture[..., channel] > 0", "picture[..., 0] > 0", "data/published/test_views.py", "any_channel"),
    Mutant("data/published/export.py", "    if depth_is_known(frames):\n        maps", "    if True:\n        maps", "data/published/test_export.py", "where_it_is_known"),
    Mutant("data/published/mistakes.py", "return None if is_worse else says", "return says", "data/published/test_check.py", "on_its_head"),
    Mutant("data/published/tangents.py", "lateral / zoom + axial", "lateral + axial", "data/published/test_lens.py", "two_balls"),
    Mutant("data/published/depths.py", "return thing.depth / lengths", "return thing.depth", "data/published/test_lens.py", "ray_lengths"),
    Mutant("data/published/own.py", "beyond = ~widen(mask[None], _RIM_PX if len(mask) >= 16 else 1)[0]", "beyond = ~mask", "data/published/test_check.py", "mixed_rims"),
    Mutant("data/blank.py", 'return "no pixel of the background" if mask.all() else None', "return None", "data/test_blank.py", "what_is_blank"),
    Mutant("data/blank.py", "blank.left_out.append(instance)", "yield from views", "data/test_blank.py", "own_renders"),
    Mutant("data/published/views.py", 'if blank.policy == "keep" or empty.isdisjoint(chosen):', "if True:", "data/published/test_blank_views.py", "other_views"),
    Mutant("tables/cells.py", 'flags += classifier.get("data_notices", [])', "pass", "data/test_blank.py", "kept_ones"),
    Mutant("data/published/export.py", "    poses[:, :3, 3] *= scale\n", "", "data/published/test_scaling.py", "far_objects"),
    Mutant("data/published/scaling.py", 'if "chair" in class_name', "if False", "data/published/test_scaling.py", "name_chooses"),
    Mutant("data/published/scaling.py", 'np.inf if format == "srn" else', "np.inf if True else", "data/published/test_scaling.py", "leaves_the_cube"),
    Mutant("data/planes.py", "np.linalg.norm(points[-1] - centres[view], axis=-1)", "z", "data/test_planes.py", "along_the_ray"),
    Mutant("data/planes.py", "max(seen.max(), across.max())", "seen.max()", "data/test_planes.py", "balls_distances"),
    Mutant("training/planes.py", "if before + behind <= MOST_OUTSIDE:", "if True:", "pretraining/test_planes.py", "those_named_work"),
    Mutant("training/planes.py", "if share > MOST_OUTSIDE:", "if False:", "pretraining/test_planes.py", "out_of_the_cube"),
    # training and transfer
    Mutant("training/loop.py", '"step", step, *share', '"step", 0, *share', "training/test_loop.py", "hand_written"),
    Mutant("training/classification.py", "            attacked.refresh()\n", "            pass\n", "training/test_adversarial.py", "eval_mode"),
    Mutant("models/classifier.py", "self.network(self.normalise(images))", "self.network(images)", "training/test_adversarial.py", "eval_mode"),
    Mutant("training/transfer.py", "_bytes(before[key]) != _bytes(value)", "True", "training/test_transfer.py", "trained_flags"),
    # attacks
    Mutant("attacks/pgd.py", "better = loss > best_loss", "better = loss >= -torch.inf", "attacks/test_pgd.py", "largest_of_eight"),
    Mutant("attacks/pgd.py", "return (images + delta).clamp(0, 1)", "return images + delta", "attacks/test_pgd.py", "linf_steps"),
    Mutant("attacks/apgd.py", "momentum = MOMENTUM if done > 1 else 1.0", "momentum = MOMENTUM", "attacks/test_apgd.py", "trajectory"),
    Mutant("attacks/apgd.py", "window = max(window - shrink, least)", "window = max(window - shrink, 1)", "attacks/test_apgd.py", "checkpoints_of_the_paper"),
    Mutant("attacks/fab.py", "OVERSHOOT = 1.05", "OVERSHOOT = 1.0", "attacks/test_fab.py", "radii_are"),
    Mutant("attacks/square.py", "return (u * room).long()", "return (u * (room + 1)).long()", "attacks/test_square.py", "same_images_as_officially"),
    Mutant("attacks/agreement.py", "for loss in _losses(model, some)", "for loss in ()", "attacks/test_agreement.py", "mutants_are_found"),
    Mutant("attacks/agreement.py", "allowed.logits * wanted.abs().amax()", "allowed.logits * wanted.abs().amax().clamp(min=1)", "attacks/test_agreement.py", "common_to_all"),
    Mutant("attacks/agreement.py", " and apart.quantile(0.25) <= allowed.best_gradients", "", "attacks/test_agreement.py", "mutants_are_found"),
    Mutant("attacks/folding.py", "if not torch.is_grad_enabled():", "if False:", "attacks/test_agreement.py", "its_own_gradient"),
    Mutant("attacks/victim.py", "return gradient.nan_to_num(0, 0, 0)", "return gradient", "attacks/test_zoo.py", "short_attack and NaN"),
    Mutant("attacks/victim.py", " | ~logits.isfinite().all(1)", "", "attacks/test_refusals.py", "under_attack"),
    Mutant("attacks/refusals.py", "if not close(alone, in_batch, ALONE):", "if False:", "attacks/test_zoo.py", "short_attack and (hidden or running)"),
    Mutant("attacks/checks.py", "if sanity_accuracy > SANITY_SHARE:", "if False:", "attacks/test_refusals.py", "not_valid"),
    # the workflow
    Mutant("study/closure.py", 'if name == "body" and', 'if False and', "study/test_closure.py", "prose"),
    Mutant("provenance/runner.py", 'accepted_digest(roots, closure_digest(roots)) != spec["code"]', "False", "provenance/test_runner.py", "other_code"),
    Mutant("provenance/store.py", "            path.chmod(mode)\n", "            pass\n", "provenance/test_sharing.py", "as_open"),
    Mutant("provenance/store.py", "except (NotCopied, OSError) as error:", "except ZeroDivisionError as error:", "provenance/test_sharing.py", "vanishes"),
    Mutant("files.py", "os.fchmod(descriptor, usual)", "pass", "test_files.py", "umask"),
    Mutant("scratch.py", "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass", "test_scratch.py", "killed"),
    Mutant("rendering/pool.py", ", **variables(folder)}", "}", "rendering/test_leftovers.py", "replaced"),
    Mutant("provenance/store.py", "json.dumps([spec, read], sort_keys=True)", "json.dumps(read, sort_keys=True)", "provenance/test_store.py", "key"),
    Mutant("provenance/store.py", 'if not (key == "path" and "sha256" in value)', 'if key not in ("path", "sha256")', "provenance/test_store.py", "key"),
    Mutant("provenance/diff.py", "not same and read[0] == read[1] and len", "not same and len", "provenance/test_diff.py", "explained"),
    Mutant("files.py", 'if name != "seal"', 'if name not in ("seal", "host")', "provenance/test_verify.py", "seal"),
    Mutant("pretraining/supervised/task.py", "data.class_index.repeat_interleave(", "data.class_index.repeat(", "pretraining/test_supervised.py", "labels_go"),
    Mutant("tables/robustness.py", ".sum() / epsilons[-1])", ".sum())", "tables/test_robustness.py", "area"),
    Mutant("tables/robustness.py", 'value, images = pointer("clean_accuracy"),', 'value, images = pointer("robust", budget, "accuracy"),', "figures/test_curves.py", "lineage"),
    Mutant("papers/geon3d/figure6.py", "model.correct[1:].mean(axis=0)", "model.correct.mean(axis=0)", "figures/test_figure6.py", "above_zero"),
    Mutant("figures/drawing.py", '            "svg.hashsalt": "robust3d",\n', "", "figures/test_curves.py", "numbers_only"),
    Mutant("tables/statistics.py", "mean(axis=0)[drawn]", "mean(axis=0)[drawn * 0]", "tables/test_statistics.py", "paired"),
    Mutant("tables/statistics.py", "+ max(image_square - rest, 0.0)", "", "tables/test_statistics.py", "over_seeds_and_images"),
    Mutant("tables/statistics.py", "seed_square = seed_square or rest", "pass", "tables/test_statistics.py", "agree_by_chance"),
    Mutant("tables/statistics.py", "    if excess <= special.polygamma(1, most / 2):", "    if True:", "tables/test_statistics.py", "loud_column"),
    Mutant("tables/statistics.py", "+ freedom * own) / (2 * half + freedom)", ") / (2 * half)", "tables/test_statistics.py", "shrunk"),
    Mutant("tables/statistics.py", "if np.ptp(apart) <= rounding and value != 0:", "if False:", "tables/test_statistics.py", "counts_that_agree"),
    Mutant("tables/statistics.py", "if np.ptp(numbers) <= _ROUNDING * np.abs(numbers).max():", "if False:", "tables/test_statistics.py", "numbers_that_agree"),
    Mutant("generation/samples.py", "min([most, *enough])", "most", "stages/test_judge_voxels.py", "by_as_many_samples"),
    Mutant("stages/judge_voxels.py", "if scope == CATEGORIES and len(self.labels) < len(self.classes):", "if False:", "stages/test_judge_voxels.py", "wrong_classes"),
    Mutant("papers/comparison/claims.py", "cell, _baseline(cell, found, cells)", "cell, None", "papers/test_claims.py", "says_why"),
    Mutant("papers/geon3d/table4.py", "1 + 1 / len(flat)", "2", "tables/test_table4.py", "less_noise"),
    Mutant("provenance/recompute.py", 'if detail is None and elsewhere:', 'if detail is None:', "provenance/test_recompute.py", "other_bytes_on_this"),
    # 3D-Prior
    Mutant("tables/multiple.py", "(len(p_values) - place) * p_values[index]", "len(p_values) * p_values[index]", "tables/test_multiple.py", "hand or procedure"),
    Mutant("tables/multiple.py", "largest = max(largest, min(", "largest = max(0.0, min(", "tables/test_multiple.py", "hand"),
    Mutant("papers/comparison/measures.py", "sum(0) / float(budgets[-1])", "sum(0) / len(budgets)", "papers/test_comparison.py", "measures"),
    Mutant("papers/comparison/initialisations.py", "one.group == NONE and one.architecture == of.architecture", "one.group == NONE", "papers/test_comparison.py", "within_an_architecture"),
    Mutant("models/triplane.py", "PLANES = ((0, 1), (0, 2), (1, 2))", "PLANES = ((0, 1), (0, 2), (2, 0))", "pretraining/test_prior3d.py", "moving_along or bilinearly"),
    Mutant("models/triplane.py", "index.append((number * side + cells[row, :, y]) * side + cells[column, :, x])", "index.append((number * side + cells[column, :, x]) * side + cells[row, :, y])", "pretraining/test_prior3d.py", "bilinearly"),
    Mutant("models/triplane.py", "depth = last.depth + (1 - last.opacity) * far", "depth = last.depth", "pretraining/test_prior3d.py", "slab"),
    Mutant("models/triplane.py", "surface = (last.depth + THIN * far) / (last.opacity + THIN)", "surface = depth", "pretraining/test_prior3d.py", "slab"),
    Mutant("models/triplane.py", "self.shift = math.log(math.expm1(1 / samples)) if per_sample else -1.0", "self.shift = -1.0", "pretraining/test_prior3d.py", "counted"),
    Mutant("pretraining/prior3d/statistics.py", "        recalibrate(encoder, images, batch)", "        pass", "pretraining/test_prior3d.py", "lag"),
    Mutant("pretraining/prior3d/task.py", "self.teacher = copy.deepcopy(self.encoder)", "self.teacher = self.encoder", "pretraining/test_prior3d.py", "gradients_reach"),
    Mutant("pretraining/prior3d/task.py", "            self.encoder.eval()", "            pass", "pretraining/test_prior3d.py", "exactly_zero"),
    Mutant("pretraining/simsiam/task.py", "embedding.detach().float()", "embedding.float()", "pretraining/test_simsiam.py", "minus_the_cosine"),
    Mutant("models/dinov2.py", "scale = (side + OFFSET) / before", "scale = side / before", "models/test_dinov2.py", "by_hand or interpolated"),
]
# fmt: on


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}:{mutant.chosen}")
def test_the_text_to_break_is_there(mutant):
    assert (ROOT / "src/robust3d" / mutant.file).read_text().count(mutant.old) == 1


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}:{mutant.chosen}")
def test_the_break_is_caught(mutant, tmp_path):
    source = tmp_path / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    broken = source / "robust3d" / mutant.file
    broken.write_text(broken.read_text().replace(mutant.old, mutant.new))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    command += [f"tests/{mutant.tests}", *(["-k", mutant.chosen] if mutant.chosen else [])]
    told = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(source)}, capture_output=True, text=True
    )
    assert told.returncode == 1, f"not caught (pytest ended with {told.returncode}):\n{told.stdout[-1500:]}"
