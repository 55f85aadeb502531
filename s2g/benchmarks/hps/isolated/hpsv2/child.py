"""The official hpsv2 package, image by image: its network, preprocessing, tokenizer and precision. Imports nothing of s2g.

Items: {"key", "path", "prompt"}; values: the cosine. Settings: {"checkpoint": file of HPS_v2.1_compressed.pt, "sha256"}.
Its own score() loads the checkpoint anew for every prompt, minutes each; the steps are the same here, after one loading.
"""

import json
import sys
import types
from pathlib import Path

# hpsv2 imports a name of the turtle module that it never uses, and turtle needs Tk, which many Pythons lack.
sys.modules.setdefault("turtle", types.SimpleNamespace(forward=None))

import torch
import torchvision
from hpsv2.src.open_clip import create_model_and_transforms, get_tokenizer
from PIL import Image

items, values, settings = sys.argv[1:]
lines = [json.loads(line) for line in Path(items).read_text().splitlines()]
if lines:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # The arguments of hpsv2.evaluation; no weights are fetched.
    network, _, prepare = create_model_and_transforms(
        "ViT-H-14", None, precision="amp", device=device, light_augmentation=True, aug_cfg={}, output_dict=True
    )
    held = torch.load(json.loads(Path(settings).read_text())["checkpoint"], map_location=device, weights_only=True, mmap=True)
    network.load_state_dict(held["state_dict"])
    network.eval()
    tokens = get_tokenizer("ViT-H-14")
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, {device}; {prepare}", flush=True)
    with open(values, "a") as out, torch.no_grad():
        for item in lines:
            image = prepare(Image.open(item["path"])).unsqueeze(0).to(device)
            words = tokens([item["prompt"]]).to(device)
            with torch.autocast(device, enabled=device == "cuda"):
                both = network(image, words)
                cosine = both["image_features"] @ both["text_features"].T
            out.write(json.dumps({"key": item["key"], "value": float(cosine[0, 0])}) + "\n")
            out.flush()
