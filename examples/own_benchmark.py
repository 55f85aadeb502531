"""A benchmark of your own: python own_benchmark.py bench=colours model=tiny_sd3, or s2g COMMAND --with own_benchmark.py."""

from dataclasses import dataclass

from s2g.cli.run import main
from s2g.config.plugins import add_bench
from s2g.engine.bench import MeasuredBench, Metric
from s2g.errors import UserError


@dataclass(frozen=True)
class Colours(MeasuredBench):  # red and blue circles in turn
    num: int = 64
    metrics = (Metric("right", "right colour %", True, 1, items=lambda of: 100.0 * of["right"], bounds=(0.0, 100.0)),)

    def check(self, model):
        if not model.reads_text:
            raise UserError(f"bench = colours: {model.name} reads no words", allowed="tiny_sd3")
        model.check_prompts(self.prompts([0, 1]))

    def prompts(self, items):
        return [self.caption(item) for item in items]

    def caption(self, item):
        return ("a red circle", "a blue circle")[item % 2]

    def items_id(self):  # what tells these items from others: part of the key of the images
        return {"colours": "red, blue"}

    def version(self):  # what tells this measurement from others: raise it when `measure` changes
        return {"bench": "colours", "version": 1}

    def measure(self, values, items):  # uint8 [B, H, W, 3]
        return {"right": (values[..., 0].mean((1, 2)) > values[..., 2].mean((1, 2))) == [item % 2 == 0 for item in items]}


add_bench("colours", Colours)

if __name__ == "__main__":
    raise SystemExit(main())
