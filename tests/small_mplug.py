"""An mPLUG of random weights in modelscope's layout, two layers each: run by the Python of the environment dpg."""

from __future__ import annotations

import json
import sys
from pathlib import Path

# As in BERT's vocabulary: the generator begins with token 101, [CLS], and ends at 102, [SEP].
WORDS = ["[PAD]", *(f"[unused{number}]" for number in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS += ["yes", "no", "is", "there", "a", "red", "blue", "circle", "square", "?"]


def small_mplug(folder: Path, seed: int = 0) -> None:
    """Write config, vocabulary and weights to a folder."""
    import torch
    import yaml
    from modelscope.models.multi_modal.mplug.configuration_mplug import MPlugConfig  # pyright: ignore
    from modelscope.models.multi_modal.mplug.modeling_mplug import MPlugForVisualQuestionAnswering  # pyright: ignore

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    bert = {"vocab_size": len(WORDS), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "pad_token_id": 0}
    bert |= {"num_attention_heads": 2, "text_encoder_layers": 1, "text_decode_layers": 1, "fusion_layers": 1, "stride_layer": 1}
    bert |= {"encoder_width": 32, "max_position_embeddings": 64, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
    (folder / "config_bert.json").write_text(json.dumps({**bert, "hidden_act": "gelu", "initializer_range": 0.02}))
    clip = {"embed_dim": 32, "image_resolution": 32, "vision_layers": 2, "vision_width": 768, "vision_patch_size": 16}
    clip |= {"context_length": 8, "vocab_size": 16, "transformer_width": 32, "transformer_heads": 2, "transformer_layers": 1}
    about = {"task": "visual-question-answering", "image_res": 32, "vision_width": 768, "distill": False, "beam_size": 2}
    about |= {"clip_name": "ViT-B-16", "min_length": 1, "max_length": 4, **{f"clip_{key}": clip[key] for key in clip}}
    (folder / "config.yaml").write_text(yaml.dump(about))
    kinds = {"framework": "pytorch", "task": about["task"], "model": {"type": "mplug"}, "pipeline": {"type": about["task"]}}
    (folder / "configuration.json").write_text(json.dumps(kinds))
    torch.manual_seed(seed)
    config = MPlugConfig.from_yaml_file(folder / "config.yaml")
    config.model_dir = str(folder)
    network = MPlugForVisualQuestionAnswering(config)
    for parameter in network.parameters():
        if parameter.ndim > 1:  # norms stay as they are and biases zero: what is said then depends on what is seen and asked
            torch.nn.init.normal_(parameter, std=0.3)
    torch.save({"model": network.state_dict()}, folder / "pytorch_model.bin")


if __name__ == "__main__":
    small_mplug(Path(sys.argv[1]))
