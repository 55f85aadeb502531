"""Small repositories of the preference scorers, with random weights: python preference_weights.py FOLDER SCORE [official].

Run by the Python of an isolated environment: sizes and tensors are those of that environment's own classes, as small as these
allow (ImageReward's are not configurable: 2 GB). official: the official package's class draws them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

CLIP_H, PICKSCORE, MPS = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "yuvalkirstain/PickScore_v1", "RE-N-Y/mpsv1"
BERT, IMAGE_REWARD = "google-bert/bert-base-uncased", "THUDM/ImageReward"
QWEN, HPSV3 = "Qwen/Qwen2-VL-7B-Instruct", "MizzenAI/HPSv3"
BYTES = (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))  # as byte-level BPE writes them
CHARACTERS = [chr(code) for code in BYTES]
MED = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 30524}
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}{% if part['type'] == "
    "'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def drawn(network: Any, deviation: float = 0.05) -> dict[str, torch.Tensor]:
    """Draw every parameter anew and return all tensors: gains about 1, logit_scale as it was."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, one in network.named_parameters():
            if "logit_scale" not in name:
                fan = one[0].numel() if one.ndim > 1 else 0
                one.normal_(
                    mean=float(one.ndim == 1 and "norm" in name.lower() and name.endswith("weight")),
                    std=fan**-0.5 if fan else deviation,
                )
    return {name: tensor.detach().contiguous().clone() for name, tensor in network.state_dict().items()}


def clip_words(folder: Path) -> None:
    """CLIP's tokenizer of single characters, its image processor, and a small CLIP's sizes."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    words = [*CHARACTERS, *(f"{one}</w>" for one in CHARACTERS), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {**small, "vocab_size": len(words), "eos_token_id": 2, "bos_token_id": len(words) - 2}
    CLIPConfig(text_config=text, vision_config={**small, "patch_size": 32}, projection_dim=1024).save_pretrained(folder)


def clip(models: Path, score: str) -> None:
    """PickScore or MPS: a CLIP, and MPS's attention between image and words."""
    from safetensors.torch import save_file
    from transformers import CLIPConfig, CLIPModel

    clip_words(models / CLIP_H)
    config = CLIPConfig.from_pretrained(models / CLIP_H)
    folder = models / (PICKSCORE if score == "pickscore" else MPS)
    folder.mkdir(parents=True, exist_ok=True)
    if score == "pickscore":
        tensors = drawn(CLIPModel(config))
        config.save_pretrained(folder)
    else:
        from imscore.mps.model import CrossModel

        tensors = {f"mps.model.{name}": one for name, one in drawn(CLIPModel(config)).items()}
        tensors |= {f"mps.cross_model.{name}": one for name, one in drawn(CrossModel(dim=1024, layer_num=4, heads=16)).items()}
    save_file(tensors, folder / "model.safetensors")


def image_reward(models: Path, official: bool) -> None:
    """ImageReward at its full size, and BERT's tokenizer of single letters."""
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *(f"{before}{chr(at)}" for before in ("", "##") for at in range(33, 127)),
    ]
    (models / BERT).mkdir(parents=True, exist_ok=True)
    rest = [f"[unused{at}]" for at in range(30522 - len(words))]
    (models / BERT / "vocab.txt").write_text("\n".join([*words, *rest]) + "\n")
    (models / BERT / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": True, "tokenizer_class": "BertTokenizer"})
    )
    folder = models / IMAGE_REWARD
    folder.mkdir(parents=True, exist_ok=True)
    about = {**MED, "architectures": ["BertModel"], "model_type": "bert", "layer_norm_eps": 1e-12, "hidden_act": "gelu"}
    about |= {
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "pad_token_id": 0,
        "encoder_width": 768,
        "add_cross_attention": True,
    }
    (folder / "med_config.json").write_text(json.dumps(about))
    serve(models / BERT)
    if official:
        import importlib.util
        import types

        home = Path(importlib.util.find_spec("ImageReward").origin).parent  # type: ignore[union-attr, arg-type]
        for name in ("ImageReward", "ImageReward.models"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [str(home.joinpath(*name.split(".")[1:]))]  # type: ignore[attr-defined]
        from ImageReward.ImageReward import ImageReward

        network = ImageReward(med_config=str(folder / "med_config.json"), device="cpu")
    else:
        from imscore.imreward.model import ImageReward

        network = ImageReward()
    torch.save(drawn(network), folder / "ImageReward.pt")


def hpsv3(models: Path, official: bool) -> None:
    """A Qwen2-VL of one block and the published width, which the head demands; its tokenizer of single bytes."""
    from safetensors.torch import save_file
    from transformers import Qwen2Tokenizer, Qwen2VLConfig, Qwen2VLImageProcessor

    folder = models / QWEN
    folder.mkdir(parents=True, exist_ok=True)
    (models / HPSV3).mkdir(parents=True, exist_ok=True)
    marks = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|vision_pad|>",
        "<|image_pad|>",
        "<|video_pad|>",
    ]
    (folder / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(CHARACTERS)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = Qwen2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=32768)
    tokenizer.add_special_tokens({"additional_special_tokens": marks[1:]})
    tokenizer.pad_token, tokenizer.chat_template = "<|endoftext|>", CHAT
    ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in marks}
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessor().save_pretrained(folder)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": CHAT}))
    about: dict[str, Any] = {
        **{"vocab_size": len(tokenizer), "hidden_size": 3584, "num_hidden_layers": 1, "num_attention_heads": 28},
        **{"num_key_value_heads": 4, "intermediate_size": 64, "max_position_embeddings": 32768, "tie_word_embeddings": False},
        **{"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"], "rms_norm_eps": 1e-6},
        **{"rope_theta": 1e6, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "hidden_act": "silu"},
        **{
            "vision_config": {
                "depth": 2,
                "embed_dim": 64,
                "num_heads": 4,
                "mlp_ratio": 2,
                "hidden_size": 3584,
                "patch_size": 14,
            }
        },
        **{
            "image_token_id": ids["<|image_pad|>"],
            "video_token_id": ids["<|video_pad|>"],
            "vision_start_token_id": ids["<|vision_start|>"],
        },
        **{
            "vision_end_token_id": ids["<|vision_end|>"],
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
        },
    }
    (folder / "config.json").write_text(json.dumps(about))
    config = Qwen2VLConfig.from_pretrained(folder)
    words = len(tokenizer) + 1  # <|Reward|>
    if official:
        from hpsv3.model.qwen2vl_trainer import Qwen2VLRewardModelBT

        network = Qwen2VLRewardModelBT(config, output_dim=2, rm_head_type="ranknet", special_token_ids=[words - 1])
        network.resize_token_embeddings(words)
        save_file(drawn(network), models / HPSV3 / "HPSv3.safetensors")


def serve(folder: Path) -> None:
    """Give transformers BERT's tokenizer from this folder, for which both packages ask the hub."""
    from transformers import BertTokenizer

    plain = BertTokenizer.from_pretrained.__func__  # type: ignore[attr-defined]
    BertTokenizer.from_pretrained = classmethod(lambda cls, name: plain(cls, str(folder)))  # type: ignore[method-assign]


if __name__ == "__main__":
    models, score, official = Path(sys.argv[1]), sys.argv[2], sys.argv[3:] == ["official"]
    {"pickscore": clip, "mps": clip}.get(score, lambda *_: None)(models, score)
    {"image_reward": image_reward, "hpsv3": hpsv3}.get(score, lambda *_: None)(models, official)
