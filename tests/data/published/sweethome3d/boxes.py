"""Lines of catalogues and boxes as OBJ."""


def box(width, height, depth, z_up=False, name="box"):
    """An OBJ of a box whose corner at the origin is its lowest."""
    lines = [f"o {name}"]
    for x in (0, width):
        for y in (0, height):
            for z in (0, depth):
                lines.append(f"v {x} {-z} {y}" if z_up else f"v {x} {y} {z}")
    quads = ["1 2 4 3", "5 7 8 6", "1 5 6 2", "3 4 8 7", "1 3 7 5", "2 6 8 4"]
    return "\n".join([*lines, *(f"f {quad}" for quad in quads), ""])


def furniture(number, key, **told):
    """The lines of one object; None leaves a key out."""
    usual = {"id": key, "name": "Box", "model": f"/m/{number}/{number}.obj", "creator": "Ann", "category": "Boxes"}
    usual |= {"width": "20", "height": "30", "depth": "40"}
    return "".join(f"{name}#{number}={value}\n" for name, value in (usual | told).items() if value is not None)
