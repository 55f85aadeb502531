"""The official image-reward package, image by image: its network, preprocessing and tokenizer. Imports nothing of s2g.

Items: {"key", "path", "prompt"}; values: a number. Settings: {"weights": ImageReward.pt, beside its med_config.json,
"folders": {repository on the hub: folder}}. Its own load() asks the hub; the steps are the same here, on files that are given.
"""

import importlib.util
import json
import os
import shutil
import sys
import types
from pathlib import Path

CACHE = Path.cwd() / "hub"
os.environ["HF_HUB_CACHE"] = str(CACHE)  # before anything reads it

# The package's __init__ imports its training and other scores, which need CLIP's repository and diffusers.
HOME = Path(importlib.util.find_spec("ImageReward").origin).parent
for NAME in ("ImageReward", "ImageReward.models"):
    sys.modules[NAME] = types.ModuleType(NAME)
    sys.modules[NAME].__path__ = [str(HOME.joinpath(*NAME.split(".")[1:]))]

import torch
from ImageReward.ImageReward import ImageReward

items, values, settings = sys.argv[1:]
lines = [json.loads(line) for line in Path(items).read_text().splitlines()]
if lines:
    knobs = json.loads(Path(settings).read_text())
    shutil.rmtree(CACHE, ignore_errors=True)
    for name, folder in knobs["folders"].items():
        place = CACHE / f"models--{name.replace('/', '--')}"
        for part in ("refs", "snapshots"):
            (place / part).mkdir(parents=True)
        (place / "refs" / "main").write_text("0" * 40)
        (place / "snapshots" / ("0" * 40)).symlink_to(folder, target_is_directory=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = Path(knobs["weights"]).with_name("med_config.json")
    network = ImageReward(med_config=str(sizes), device=device).to(device)
    state = torch.load(knobs["weights"], map_location="cpu", weights_only=True)
    print(network.load_state_dict(state, strict=False), flush=True)  # as the package does: what is lacking stands in the log
    network.eval()
    with open(values, "a") as out, torch.no_grad():
        for item in lines:
            value = network.score(prompt=item["prompt"], image=item["path"])
            out.write(json.dumps({"key": item["key"], "value": value}) + "\n")
            out.flush()
