"""Small catalogues, made by code."""

import zipfile

import pytest


@pytest.fixture
def catalogue(tmp_path):
    """Write a catalogue: lines of its properties, models by number, its name, properties of the whole."""

    def write(lines, models, name="Small", list_name="PluginFurnitureCatalog.properties"):
        path = tmp_path / f"{name}.sh3f"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(list_name, "id=Small\nlicense=CC0\n" + "".join(lines))
            for number, text in models.items():
                archive.writestr(f"m/{number}/{number}.obj", text)
        return path

    return write
