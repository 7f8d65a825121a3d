"""Blender's materials: matt paint, pictures, holes and glass."""

from typing import Any

import bpy
from mathutils import Vector

from robust3d.rendering.params import RenderParams
from robust3d.shapes.mesh import Material, Paint

_COAT = "coat"


def plain_paint(params: RenderParams) -> bpy.types.Material:
    """Matt paint in the colour that the mesh carries; lights without shadow are part of the paint.

    Cycles would pick one of many lamps at random for each sample, which is noise at a few samples a pixel.
    """
    material = bpy.data.materials.new("paint")
    _paint(material, params, None, None)
    return material


def coat(params: RenderParams, paint: Paint) -> list[bpy.types.Material]:
    """The materials of a mesh: the same paint, times a picture, with holes and glass."""
    images = [_image(picture) for picture in paint.pictures]
    coats = []
    for material in paint.materials:
        made = bpy.data.materials.new(_COAT)
        _paint(made, params, material, None if material.picture is None else images[material.picture])
        coats.append(made)
    return coats


def wash() -> None:
    """Remove what `coat` made."""
    for material in [material for material in bpy.data.materials if material.name.startswith(_COAT)]:
        bpy.data.materials.remove(material)
    for image in [image for image in bpy.data.images if image.name.startswith(_COAT)]:
        bpy.data.images.remove(image)


def _image(picture: bytes) -> bpy.types.Image:
    image = bpy.data.images.new(_COAT, 1, 1)
    image.pack(data=picture, data_len=len(picture))
    image.source = "FILE"
    image.alpha_mode = "CHANNEL_PACKED"  # colours are read as they are, whatever the alpha beside them
    return image


def _paint(
    painted: bpy.types.Material, params: RenderParams, material: Material | None, image: bpy.types.Image | None
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
        colour, alpha = _picture(nodes, links, colour, material, image)
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


def _picture(nodes: Any, links: Any, colour: Any, material: Material, image: bpy.types.Image | None) -> tuple[Any, Any]:
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
        if image.channels == 4:
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
