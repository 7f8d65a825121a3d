"""Blender's materials: matt paint, pictures, holes and glass."""

import itertools
from pathlib import Path
from typing import Any

import bpy
from mathutils import Vector

from robust3d.rendering.params import RenderParams
from robust3d.shapes.mesh import Material, Paint

_DARK = 0.2  # share of the light that a dark cube of a pattern gives back


def plain_paint(params: RenderParams) -> bpy.types.Material:
    """Matt paint in the colour that the mesh carries; lights without shadow are part of the paint.

    Cycles would pick one of many lamps at random for each sample, which is noise at a few samples a pixel.
    """
    material = bpy.data.materials.new("paint")
    _paint(material, params)
    return material


class Coats:
    """The materials of the mesh that is shown: the same paint, times a picture, with holes and glass.

    Pictures pass through files whose names never come again: the renderer, which outlives them, knows a picture by its
    file, and one in memory by its address, where the next object's may come to lie.

    Args:
        params: of the paint.
        folder: for the files.
    """

    def __init__(self, params: RenderParams, folder: Path) -> None:
        self.params, self.folder = params, folder
        self.made: list[bpy.types.Material] = []
        self.images: list[bpy.types.Image] = []
        self.files: list[Path] = []
        self.names = itertools.count()

    def coat(self, paint: Paint) -> list[bpy.types.Material]:
        """The materials of a mesh in their order; those of the mesh before are gone."""
        self.wash()
        for picture in paint.pictures:
            file = self.folder / f"picture-{next(self.names)}.png"
            file.write_bytes(picture)
            self.files.append(file)
            self.images.append(bpy.data.images.load(str(file)))
            self.images[-1].alpha_mode = "CHANNEL_PACKED"  # colours as they are, whatever the alpha beside them
        for material in paint.materials:
            self.made.append(bpy.data.materials.new("coat"))
            chosen = None if material.picture is None else self.images[material.picture]
            holes = material.picture is not None and paint.has_alpha(material.picture)
            _paint(self.made[-1], self.params, material, chosen, holes)
        return self.made

    def wash(self) -> None:
        """Remove what `coat` made."""
        for material in self.made:
            bpy.data.materials.remove(material)
        for image in self.images:
            bpy.data.images.remove(image)
        for file in self.files:
            file.unlink()
        self.made, self.images, self.files = [], [], []


def _paint(
    painted: bpy.types.Material,
    params: RenderParams,
    material: Material | None = None,
    image: bpy.types.Image | None = None,
    holes: bool = False,
) -> None:
    """Fill a material's nodes."""
    painted.use_nodes = True
    painted.cycles.emission_sampling = "NONE"  # the paint lights nothing else
    nodes, links = painted.node_tree.nodes, painted.node_tree.links
    nodes.clear()
    carried, normal = nodes.new("ShaderNodeAttribute"), nodes.new("ShaderNodeNewGeometry")
    carried.attribute_name = "colour"
    colour, alpha = carried.outputs["Color"], None
    if material is not None:
        colour, alpha = _picture(nodes, links, colour, material, image, holes)
    if params.checks is not None:
        colour = _checked(nodes, links, colour, params.checks)
    brightness = nodes.new("ShaderNodeValue")
    brightness.outputs[0].default_value = params.ambient
    total = brightness.outputs[0]
    for sun in params.suns:
        if not sun.shadow:
            cosine, clamped = nodes.new("ShaderNodeVectorMath"), nodes.new("ShaderNodeMath")
            cosine.operation, clamped.operation = "DOT_PRODUCT", "MAXIMUM"
            cosine.inputs[1].default_value = Vector(sun.direction).normalized()
            links.new(normal.outputs["Normal"], cosine.inputs[0])
            links.new(cosine.outputs["Value"], clamped.inputs[0])
            clamped.inputs[1].default_value = 0.0
            added = nodes.new("ShaderNodeMath")
            added.operation = "MULTIPLY_ADD"
            added.inputs[1].default_value = sun.strength
            links.new(clamped.outputs[0], added.inputs[0])
            links.new(total, added.inputs[2])
            total = added.outputs[0]
    glow, diffuse = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeBsdfDiffuse")
    links.new(colour, glow.inputs["Color"])
    links.new(total, glow.inputs["Strength"])
    links.new(colour, diffuse.inputs["Color"])
    both, output = nodes.new("ShaderNodeAddShader"), nodes.new("ShaderNodeOutputMaterial")
    links.new(glow.outputs[0], both.inputs[0])
    links.new(diffuse.outputs[0], both.inputs[1])
    links.new(_layered(nodes, links, both.outputs[0], alpha), output.inputs["Surface"])


def _checked(nodes: Any, links: Any, colour: Any, checks: float) -> Any:
    """A colour that is dark in every other cube of a grid that is fixed to the object."""
    place, cubes, product = (nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "TexChecker", "VectorMath"))
    product.operation = "MULTIPLY"
    cubes.inputs["Scale"].default_value = checks
    cubes.inputs["Color1"].default_value, cubes.inputs["Color2"].default_value = (1, 1, 1, 1), (*[_DARK] * 3, 1)
    links.new(place.outputs["Object"], cubes.inputs["Vector"])
    links.new(colour, product.inputs[0])
    links.new(cubes.outputs["Color"], product.inputs[1])
    return product.outputs[0]


def _picture(
    nodes: Any, links: Any, colour: Any, material: Material, image: bpy.types.Image | None, holes: bool
) -> tuple[Any, Any]:
    """Colour times picture, and opacity: a socket, or None where all is opaque."""
    solid = 0.0 if material.alpha < Paint.HOLE else material.alpha
    alpha = None
    if image is not None:
        place, texture, product = (nodes.new(f"ShaderNode{kind}") for kind in ("UVMap", "TexImage", "VectorMath"))
        place.uv_map, texture.image, product.operation = "uv", image, "MULTIPLY"
        texture.extension = "EXTEND" if material.clamp else "REPEAT"
        links.new(place.outputs["UV"], texture.inputs["Vector"])
        links.new(colour, product.inputs[0])
        links.new(texture.outputs["Color"], product.inputs[1])
        colour = product.outputs[0]
        if holes:
            there, alpha = nodes.new("ShaderNodeMath"), nodes.new("ShaderNodeMath")
            there.operation, alpha.operation = "GREATER_THAN", "MULTIPLY"
            there.inputs[1].default_value, alpha.inputs[1].default_value = Paint.CUT - 1e-4, solid
            links.new(texture.outputs["Alpha"], there.inputs[0])
            links.new(there.outputs[0], alpha.inputs[0])
            return colour, alpha.outputs[0]
    if solid < 1:
        alpha = nodes.new("ShaderNodeValue")
        alpha.outputs[0].default_value = solid
        return colour, alpha.outputs[0]
    return colour, None


def _layered(nodes: Any, links: Any, surface: Any, alpha: Any) -> Any:
    """A surface over what is behind it."""
    if alpha is None:
        return surface
    behind, mixed = nodes.new("ShaderNodeBsdfTransparent"), nodes.new("ShaderNodeMixShader")
    links.new(alpha, mixed.inputs["Fac"])
    links.new(behind.outputs[0], mixed.inputs[1])
    links.new(surface, mixed.inputs[2])
    return mixed.outputs[0]
