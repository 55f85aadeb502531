"""Phrases to questions, answers to scores: the official rules on cases worked out by hand, and on Doc-like objects."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import s2g.benchmarks
from s2g.benchmarks.compbench.questions import cleaned, image_score, questions_of, rounded
from s2g.errors import IsolatedError
from s2g.scoring.isolated.environment import build, known

BENCHMARKS = Path(s2g.benchmarks.__file__).parent


def child_of(name: str) -> ModuleType:
    """A child script as a module; what needs its environment is imported inside its main alone."""
    spec = importlib.util.spec_from_file_location(f"child_{name}", next(BENCHMARKS.glob(f"*/isolated/{name}/child.py")))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Chunk:
    text: str


@dataclass
class Doc:
    """What the rule asks of spaCy's: noun_chunks, an iterator."""

    texts: list[str]

    @property
    def noun_chunks(self):
        return (Chunk(text) for text in self.texts)


def test_places_are_left_out_by_their_exact_words() -> None:
    doc = Doc(["The red bench", "top", "a bowl", "the left", "The left", "the top", "the side", "the right", "a side"])
    assert child_of("phrases").phrases_of(doc) == ["The red bench", "a bowl", "The left", "the top", "a side"]


DOCS = """
import importlib.util, json, sys
import spacy
spec = importlib.util.spec_from_file_location("child", sys.argv[1])
child = importlib.util.module_from_spec(spec)
spec.loader.exec_module(child)
vocab = spacy.blank("en").vocab
words = ["A", "red", "bench", "on", "top", "of", "a", "bowl", "to", "the", "left"]
pos = ["DET", "ADJ", "NOUN", "ADP", "NOUN", "ADP", "DET", "NOUN", "ADP", "DET", "NOUN"]
heads = [2, 2, 2, 2, 3, 4, 7, 5, 2, 10, 8]
deps = ["det", "amod", "ROOT", "prep", "pobj", "prep", "det", "pobj", "prep", "det", "pobj"]
doc = spacy.tokens.Doc(vocab, words=words, pos=pos, heads=heads, deps=deps)
print(json.dumps([spacy.__version__, [chunk.text for chunk in doc.noun_chunks], child.phrases_of(doc)]))
"""


@pytest.mark.external
def test_docs_of_spacys_own_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built for real; and what goes wrong in it is shown in full."""
    from s2g.benchmarks.compbench import phrases

    monkeypatch.setenv("S2G_CACHE", str(tmp_path))
    isolated = phrases.environment()
    build(isolated)
    command = [str(isolated.interpreter), "-I", "-c", DOCS, str(isolated.child)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    version, chunks, kept = json.loads(said)
    assert version == "3.5.3" and chunks == ["A red bench", "top", "a bowl", "the left"] and kept == ["A red bench", "a bowl"]
    write = "import spacy; nlp = spacy.blank('en'); nlp.meta.update(name='core_web_sm', version='{}')"
    write += f"; nlp.to_disk('{tmp_path}/model')"
    for stated, words in (("3.5.0", "E029"), ("3.6.0", "is not of spaCy 3.5.3")):
        subprocess.run([str(isolated.interpreter), "-I", "-c", write.format(stated)], check=True)
        with pytest.raises(IsolatedError, match=words):
            phrases.phrases_of(["a red bench"], str(tmp_path / "model"))


def test_questions_are_lower_case_eight_and_without_some_characters() -> None:
    assert questions_of(["A Red Bench", 'the "sign" (11:44.)']) == ["a red bench?", "the sign 1144?"]
    assert questions_of([f"thing {i}" for i in range(11)]) == [f"thing {i}?" for i in range(8)]
    assert questions_of([]) == []
    assert cleaned("a, b-c' d/e [f] ?!.  ") == "a, b-c' d/e [f] ?"  # commas, hyphens and question marks stay
    assert cleaned(" ".join(["w"] * 60) + "?").count("w") == 50
    assert cleaned(" ".join(["w"] * 50) + "?").endswith("w?")


@pytest.mark.parametrize(
    ("answers", "score"),
    [
        ([], 1.0),
        ([0.12344], 0.1234),
        ([0.5, 0.5, 0.5], 0.125),
        ([0.99996] * 8, 1.0),  # each is rounded before the product, which is 0.9997 else
        ([0.00004, 0.9], 0.0),
        ([0.9999] * 8, 0.9992),
    ],
)
def test_an_image_is_the_product_of_rounded_answers_rounded(answers: list[float], score: float) -> None:
    assert image_score(answers) == score


@pytest.mark.parametrize(
    ("probability", "written"),
    [
        (0.00005, 0.0001),  # in binary a little above the half
        (0.00015, 0.0001),  # and a little below it
        (0.03125, 0.0312),  # exactly a half: to the even digit
        (0.09375, 0.0938),
        (0.99995, 1.0),
        (0.99994, 0.9999),
    ],
)
def test_four_decimals_are_those_of_printed_numbers(probability: float, written: float) -> None:
    assert rounded(probability) == written


def test_the_model_has_to_be_en_core_web_sm_of_spacys_version(tmp_path: Path) -> None:
    child = child_of("phrases")
    meta = {"lang": "en", "name": "core_web_sm", "version": "3.5.0"}
    child.check_model(meta, "3.5.3")
    with pytest.raises(SystemExit, match=r"en_core_web_sm 3\.6\.0 is not of spaCy 3\.5\.3"):
        child.check_model(meta | {"version": "3.6.0"}, "3.5.3")
    for other in ({"name": "core_web_lg"}, {"lang": "de"}):
        with pytest.raises(SystemExit, match=r"(en_core_web_lg|de_core_web_sm) is not en_core_web_sm"):
            child.check_model(meta | other, "3.5.3")
    inner = tmp_path / "en_core_web_sm" / "en_core_web_sm-3.5.0"
    inner.mkdir(parents=True)
    with pytest.raises(SystemExit, match="no spaCy model"):
        child.model_folder(str(tmp_path), str(tmp_path / "scratch"))
    (inner / "config.cfg").write_text("")
    (inner / "ner").mkdir()
    (inner / "ner" / "config.cfg").write_text("")
    assert child.model_folder(str(tmp_path), str(tmp_path / "scratch")) == inner


@pytest.mark.parametrize("name", ["phrases", "qalign"])
def test_its_environment_pins_everything_and_its_script_knows_nothing_of_us(name: str) -> None:
    isolated = known()[name]
    pins = dict(line.split("==") for line in isolated.requirements)
    assert "s2g" not in isolated.child.read_text().replace("of s2g", "")
    if name == "phrases":
        assert (pins["spacy"], isolated.python) == ("3.5.3", "3.11") and pins["numpy"].startswith("1.")
    else:
        assert pins["transformers"] == "4.36.1" and pins["numpy"].startswith("1.")
    assert json.dumps(isolated.identity())
