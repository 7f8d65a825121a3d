#!/bin/sh
# The taste of it: the tests' scale, then one cell, one picture and where they came from.
set -eu
snakemake results/table4.csv results/figure3.png --config scale=test --quiet all
python - <<'PYTHON'
import json
import textwrap

cells = json.load(open("results/table4.cells.json"))
print("\nresults/table4.csv (tests' scale: its numbers mean nothing)\n")
print(open("results/table4.csv").read())
cell = next(cell for cell in cells["cells"] if cell["column"] == "DVR+AT")
model = cell["conditions"][0]
encoder = model["encoder"]
print(f"One cell: {cell['row']}, {cell['column']} = {cell['text']} %")
print(f"  interval   {100 * cell['interval']['low']:.1f} to {100 * cell['interval']['high']:.1f} ({cell['interval']['kind']})")
print(f"  printed    {cell['printed']['value']} for {cell['printed']['row']}, comparable: {cell['printed']['comparable']}")
print(f"  formula    {cell['formula']}")
print(f"  classifier {model['objective']}, {model['steps']} steps on {model['training_images']} images, {model['attack']}")
print(f"  encoder    {encoder['method']}, {encoder['start']} start, {encoder['images_seen']} images seen,", end=" ")
print(f"{encoder['trained_tensors']} of {encoder['tensors']} tensors trained")
for flag in cell["flags"]:
    print(textwrap.fill(flag, 100, initial_indent="  flag       ", subsequent_indent=" " * 13))
for source in cell["sources"]:
    print(f"  from       {source['file']}  {source['pointer']}\n             sha256 {source['sha256']}")
record = json.load(open("results/figure3.record.json"))
print("\nOne picture: results/figure3.png, examples of the classification sets")
for files in record["inputs"].values():
    for file in files:
        print(f"  from       {file['path']}\n             sha256 {file['sha256']}")
PYTHON
