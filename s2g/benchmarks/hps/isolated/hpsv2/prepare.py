"""Give hpsv2 the vocabulary that its wheel lacks: open_clip ships the same file."""

import shutil
import sysconfig
from pathlib import Path

VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
packages = Path(sysconfig.get_paths()["purelib"])
shutil.copyfile(packages / "open_clip" / VOCABULARY, packages / "hpsv2" / "src" / "open_clip" / VOCABULARY)
