"""imscore's preference scorers, one image with its prompt at a time. Imports nothing of s2g.

Items: {"key", "path", "prompt"}; values: a number. Settings: {"score": pickscore, image_reward, mps or hpsv3,
"folders": {repository on the hub: folder}, "weights": file, "device": auto, cpu or cuda}.
imscore asks the hub for configurations and tokenizers by name. It is given a cache of the hub that holds these folders alone,
and every weight is read from the one file, strictly: its own loading leaves what a file lacks as it was drawn.
Images are resized as by the official packages, on bytes, before imscore sees them; its own resize then has nothing to do.
"""

import json
import os
import shutil
import sys
from pathlib import Path

CACHE = Path.cwd() / "hub"
os.environ["HF_HUB_CACHE"] = str(CACHE)  # before anything reads it

import torch
from imscore.hpsv3.model import HPSv3
from imscore.imreward.model import ImageReward
from imscore.mps.model import MPS, XCLIPModel
from imscore.pickscore.model import PickScorer
from PIL import Image
from safetensors.torch import load_file
from torchvision.transforms import CenterCrop, InterpolationMode, Resize
from torchvision.transforms.functional import pil_to_tensor
from transformers import CLIPImageProcessor, CLIPModel, Qwen2VLConfig

COMMIT = "0" * 40  # a revision's name in the cache
# Parts that no score reads: some publishers' files have them and others do not.
UNREAD = ("position_ids", "blip.vision_proj.weight", "blip.vision_proj.bias", "blip.text_proj.weight", "blip.text_proj.bias")
SHORT = 224  # pixels of the short side, then of the square in its middle

# The same names in every call: packages have exchanged the order of image and prompt before.
ARGUMENT = {"pickscore": "pixels", "image_reward": "opixels", "mps": "pixels", "hpsv3": "images"}


def serve(folders):
    """Make the hub's cache hold these folders under their repositories' names."""
    shutil.rmtree(CACHE, ignore_errors=True)
    for name, folder in folders.items():
        place = CACHE / f"models--{name.replace('/', '--')}"
        for part in ("refs", "snapshots"):
            (place / part).mkdir(parents=True)
        (place / "refs" / "main").write_text(COMMIT)
        (place / "snapshots" / COMMIT).symlink_to(folder, target_is_directory=True)


def tensors_of(path):
    """The tensors of a file by name."""
    if path.endswith(".safetensors"):
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def fill(network, tensors, path):
    """Copy every tensor into the network; ValueError for names that it lacks or has besides."""
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    wrong = [f"{name} is lacking" for name in missing if not name.endswith(UNREAD)]
    wrong += [f"{name} is not of it" for name in unexpected if not name.endswith(UNREAD)]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"{path}: {'; '.join(wrong[:3])}{more}")
    return network


def undrawn(cls, name, **_):
    """A CLIP of the published sizes without its published weights, which the scorer's own replace."""
    return cls(cls.config_class.from_pretrained(name))


def clip_scorer(build, prefix):
    def load(path, repositories, device):
        CLIPModel.from_pretrained = XCLIPModel.from_pretrained = classmethod(undrawn)
        tensors = tensors_of(path)
        return fill(build(repositories[0]), {f"{prefix}{name}": value for name, value in tensors.items()}, path)

    return load


def mps(name):
    """MPS, whose two towers no longer take the `return_dict` that imscore passes on."""
    network = MPS()
    for tower in (network.mps.model.text_model, network.mps.model.vision_model):
        plain = tower.forward
        tower.forward = lambda plain=plain, return_dict=None, **inputs: plain(**inputs)
    return network


def image_reward(path, repositories, device):
    return fill(ImageReward(), tensors_of(path), path)


def hpsv3(path, repositories, device):
    """HPSv3: the half precision in which it is published on a GPU, with its head in float32; float32 on a CPU."""
    tensors = tensors_of(path)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    config = Qwen2VLConfig.from_pretrained(repositories[1])
    words = tensors["model.embed_tokens.weight"].shape[0]  # its tokenizer has a token more than the base's
    config.vocab_size = config.text_config.vocab_size = words
    network, about = HPSv3.from_pretrained(
        None, config=config, state_dict=tensors, dtype=dtype, attn_implementation="sdpa", output_loading_info=True
    )
    if wrong := [f"{kind} {name}" for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for name in about[kind]]:
        raise ValueError(f"{path}: {'; '.join(wrong[:3])}")
    head = {name.removeprefix("rm_head."): value.float() for name, value in tensors.items() if name.startswith("rm_head.")}
    network.rm_head.float().load_state_dict(head)
    network.rm_head.register_forward_pre_hook(lambda module, inputs: (inputs[0].float(),))
    return network


LOAD = {
    "pickscore": clip_scorer(PickScorer, "model."),
    "image_reward": image_reward,
    "mps": clip_scorer(mps, ""),
    "hpsv3": hpsv3,
}


def middle_of_blip(image):
    """The middle 224 x 224 of an image resized by its short side, uint8 [3, 224, 224], as image-reward has it."""
    return pil_to_tensor(CenterCrop(SHORT)(Resize(SHORT, interpolation=InterpolationMode.BICUBIC)(image)))


def middle_of_clip(image):
    """The same as CLIP's processor has it, whose middle is a pixel elsewhere where a side is odd."""
    processor = CLIPImageProcessor(do_rescale=False, do_normalize=False)
    return torch.from_numpy(processor(image, return_tensors="np")["pixel_values"][0].astype("uint8"))


def prepared(score, image):
    """What the scorer is given of an RGB image: [1, 3, 224, 224] in 0 to 1; of HPSv3, which resizes bytes itself, the bytes."""
    if score == "hpsv3":
        return [pil_to_tensor(image)]
    return (middle_of_blip if score == "image_reward" else middle_of_clip)(image)[None].float() / 255


def main(items, values, settings):
    lines = [json.loads(line) for line in Path(items).read_text().splitlines()]
    if not lines:
        return
    knobs = json.loads(Path(settings).read_text())
    score, repositories = knobs["score"], list(knobs["folders"])
    serve(knobs["folders"])
    device = knobs["device"] if knobs["device"] != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    network = LOAD[score](knobs["weights"], repositories, device).to(device).eval()
    with open(values, "a") as out, torch.inference_mode():
        for item in lines:
            with Image.open(item["path"]) as opened:
                image = prepared(score, opened.convert("RGB"))
            image = image if score == "hpsv3" else image.to(device)
            found = network.score(**{ARGUMENT[score]: image, "prompts": [item["prompt"]]})
            out.write(json.dumps({"key": item["key"], "value": float(found.flatten()[0])}) + "\n")
            out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:4])
