"""The official hpsv3 package, image by image: its network, preprocessing, instruction and precision. Imports nothing of s2g.

Items: {"key", "path", "prompt"}; values: a number, the first of the two that the network says (the second is its spread).
Settings: {"weights": HPSv3.safetensors, "folders": {repository on the hub: folder}}.
The base's own weights are not read, since the checkpoint replaces them all: the network is built from the base's sizes.
"""

import json
import sys
from pathlib import Path

import torch
import yaml
from hpsv3 import inference
from hpsv3.model.qwen2vl_trainer import Qwen2VLRewardModelBT
from transformers import AutoConfig


def undrawn(cls, name, *, torch_dtype, attn_implementation, use_cache, **knobs):
    """A network of the base's sizes, its numbers to be replaced."""
    for unread in ("revision", "cache_dir", "device_map", "quantization_config"):  # of the base's weights
        knobs.pop(unread)
    config = AutoConfig.from_pretrained(name)
    config.use_cache, config._attn_implementation = use_cache, attn_implementation
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch_dtype)
    try:
        return cls(config, **knobs)
    finally:
        torch.set_default_dtype(before)


Qwen2VLRewardModelBT.from_pretrained = classmethod(undrawn)

items, values, settings = sys.argv[1:]
lines = [json.loads(line) for line in Path(items).read_text().splitlines()]
if lines:
    knobs = json.loads(Path(settings).read_text())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    about = yaml.safe_load((Path(inference.__file__).parent / "config" / "HPSv3_7B.yaml").read_text())
    about["model_name_or_path"] = knobs["folders"][about["model_name_or_path"]]
    about |= {"output_dir": str(Path.cwd() / "out"), "report_to": "none"}
    if device == "cpu":  # its half precision, and a head in float32 after it, work on a GPU only
        about |= {"bf16": False, "torch_dtype": "float32", "use_cpu": True}
    config = Path.cwd() / "HPSv3_7B.yaml"
    config.write_text(yaml.safe_dump(about))
    scorer = inference.HPSv3RewardInferencer(config_path=str(config), checkpoint_path=knobs["weights"], device=device)
    with open(values, "a") as out, torch.no_grad():
        for item in lines:
            found = scorer.reward(image_paths=[item["path"]], prompts=[item["prompt"]])
            out.write(json.dumps({"key": item["key"], "value": float(found[0][0])}) + "\n")
            out.flush()
