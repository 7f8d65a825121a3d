"""Views of meshes, rendered by Blender in worker processes; the only package that imports bpy."""
