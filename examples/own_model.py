"""A model of your own in the command line: python own_model.py model=mine bench=prompts, or s2g COMMAND --with own_model.py."""

import torch
from diffusers import DiTTransformer2DModel

from s2g.cli.run import main
from s2g.config.plugins import add_model
from s2g.models.base import Conditioning, Output
from s2g.models.convention import Flow


class Mine:
    convention, order, latent_shape, token_grid, passes = Flow(), ("cond", "uncond"), (3, 32, 32), (4, 4), "batched"

    def __init__(self, network):
        self.network, self.blocks = network, list(network.transformer_blocks)

    @classmethod
    def load(cls, config, device, dtype):
        torch.manual_seed(config.weights_seed)  # no weights here; yours are in the file config.weights
        return cls(DiTTransformer2DModel(**config.network, num_embeds_ada_norm=108).eval().to(device, dtype))

    def encode(self, prompts):  # a text encoder of yours; this one sums letters
        labels = torch.tensor([sum(map(ord, prompt)) % 108 for prompt in prompts], device=self.network.device)
        return {"cond": Conditioning({"labels": labels}), "uncond": Conditioning({"labels": labels * 0 + 108})}

    def forward(self, x, level, conditioning, timestep=None):
        time = torch.full((len(x),), 1000 * level, device=x.device)
        return Output(self.network(x, time, conditioning.tensors["labels"]).sample)

    def decode(self, latents):
        return (127.5 * latents.float() + 127.5).clamp(0, 255).to(torch.uint8)


SIZES = {"sample_size": 32, "in_channels": 3, "patch_size": 8, "num_layers": 6, "num_attention_heads": 2}
SETTINGS = {"weights": "random:0", "blocks": 6, "resolution": 32, "network": SIZES, "sampler": {"name": "euler", "steps": 20}}
add_model("mine", Mine, SETTINGS, reads_text=True, random=True)

if __name__ == "__main__":
    raise SystemExit(main())
