"""Pipeline folders as people have them: faults are named before anything is encoded, and their advice works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from s2g.config.schema import ModelConfig
from s2g.engine import worker
from s2g.engine.cost import full_pass
from s2g.engine.resolve import outline, resolve
from s2g.errors import MissingError, NotFiniteError, UserError
from s2g.models.sd3 import SD3Denoiser
from s2g.models.shared import pipeline_text
from s2g.models.shared.pipeline_text import check_tokenizer
from tests.offline_pipelines import SIDE, clip_tokenizer, sd3_pipeline

CPU = torch.device("cpu")
REPOSITORY = "someone/small-sd3"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "f" * 40
NETWORK_FILE = "transformer/diffusion_pytorch_model.safetensors"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 12345\n" % (b"4d" * 32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sd35")
    sd3_pipeline(tmp_path_factory.mktemp("tokenizers")).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to be damaged, and caches of its own."""
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return Path(shutil.copytree(saved, tmp_path / "sd35"))


@pytest.fixture
def raw(composed: Callable[..., dict]) -> Callable[..., dict]:
    small = ("model=sd35", "model.blocks=6", f"model.resolution={SIDE}", "model.dtype=fp32", "bench=prompts", "guidance=none")
    return lambda *typed: composed(*small, *typed)


@pytest.fixture
def model(raw: Callable[..., dict]) -> Callable[..., ModelConfig]:
    return lambda *typed: outline(raw(*typed)).model


def said_of(config: ModelConfig, kind: type[UserError] = UserError) -> str:
    with pytest.raises(kind) as caught:
        config.pipeline()
    return str(caught.value)


def todo_of(said: str) -> str:
    return said.partition("  do: ")[2]


@pytest.mark.parametrize("part", ["text_encoder_3", "tokenizer_3"])
def test_a_part_that_the_index_lists_is_not_left_out(part: str, folder: Path, model: Any) -> None:
    shutil.rmtree(folder / part)
    said = said_of(model(f"model.weights={folder}"), MissingError)
    assert f"no file {part}/" in said and "[null, null] for tokenizer_3 and text_encoder_3" in said


def test_an_encoder_without_its_tokenizer_is_refused(folder: Path, model: Any) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"tokenizer_3": [None, None]}))
    assert "model_index.json has no tokenizer_3" in said_of(model(f"model.weights={folder}"))
    (folder / "model_index.json").write_text(json.dumps(index | {"text_encoder": [None, None]}))
    assert "model_index.json has no text_encoder" in said_of(model(f"model.weights={folder}"))


def test_a_tokenizer_without_its_vocabulary_is_refused(folder: Path, model: Any) -> None:
    (folder / "tokenizer_2" / "tokenizer.json").unlink()
    said = said_of(model(f"model.weights={folder}"))
    assert "tokenizer_2 has no vocabulary: no tokenizer.json, vocab.json with merges.txt, or spiece.model" in said
    (folder / "tokenizer_2" / "vocab.json").write_text("{}")
    assert "no file tokenizer_2/merges.txt" in said_of(model(f"model.weights={folder}"))


def test_a_tokenizer_of_other_words_is_refused(folder: Path, model: Any, tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    words = json.loads((folder / "tokenizer" / "tokenizer.json").read_text())
    words["model"]["vocab"] = {word: number for word, number in words["model"]["vocab"].items() if word not in ("a", "a</w>")}
    words["model"]["merges"] = []
    (folder / "tokenizer" / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(UserError, match=r"tokenizer reads 'a cat and 2 dogs on a table' as '"):
        SD3Denoiser.load(model(f"model.weights={folder}"), CPU, torch.float32).encode(["a dog"])
    small, tokenizer = nn.Module(), clip_tokenizer(tmp_path / "whole")
    small.config = type("Config", (), {"vocab_size": 100})  # type: ignore[assignment]
    assert isinstance(tokenizer, CLIPTokenizer)
    with pytest.raises(UserError, match=r"gives token \d+, and its text encoder has 100"):
        check_tokenizer(tokenizer, small, "tokenizer")


def load(config: ModelConfig) -> SD3Denoiser:
    denoiser = SD3Denoiser.load(config, CPU, torch.float32)
    denoiser.encode(["a dog"])
    return denoiser


@pytest.mark.parametrize(
    ("file", "tensor"),
    [
        (NETWORK_FILE, "transformer_blocks.3.attn.to_q.weight"),
        ("vae/diffusion_pytorch_model.safetensors", "decoder.conv_in.weight"),
        ("text_encoder_3/model.safetensors", "shared.weight"),
    ],
)
def test_a_tensor_that_is_not_finite_is_named(file: str, tensor: str, folder: Path, model: Any) -> None:
    state = load_file(folder / file)
    state[tensor].view(-1)[2] = float("nan")
    save_file(state, folder / file, metadata={"format": "pt"})
    with pytest.raises(UserError) as caught:
        load(model(f"model.weights={folder}"))
    assert f"{tensor.split('.')[-2]}.weight holds NaN" in str(caught.value) and file.split("/")[0] in str(caught.value)


def test_a_dtype_that_is_too_narrow_is_named(folder: Path, model: Any) -> None:
    state = load_file(folder / NETWORK_FILE)
    state["proj_out.bias"][0] = 1e6
    save_file(state, folder / NETWORK_FILE)
    with pytest.raises(UserError, match=r"proj_out.bias does not fit into float16(.|\n)*do: model.dtype=bf16"):
        SD3Denoiser.load(model(f"model.weights={folder}"), CPU, torch.float16)
    SD3Denoiser.load(model(f"model.weights={folder}"), CPU, torch.bfloat16)


def test_decoded_values_that_are_not_finite_name_the_decoder(folder: Path, model: Any) -> None:
    denoiser = load(model(f"model.weights={folder}"))
    with pytest.raises(NotFiniteError, match=r"decoded by the vae \(AutoencoderKL, float32\)") as caught:
        denoiser.decode(torch.full((1, 16, 8, 8), 1e38))
    assert not caught.value.guided


def shard(folder: Path) -> list[str]:
    """Split the transformer's weights in two, with an index."""
    state, names = load_file(folder / NETWORK_FILE), sorted(load_file(folder / NETWORK_FILE))
    files = [f"diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for number, file in enumerate(files):
        save_file({name: state[name] for name in names[number::2]}, folder / "transformer" / file)
    weight_map = {name: files[number % 2] for number, name in enumerate(names)}
    (folder / f"{NETWORK_FILE}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / NETWORK_FILE).unlink()
    return files


def test_an_index_that_is_cut_wrong_or_gone_is_named(folder: Path, model: Any) -> None:
    files, config = shard(folder), model(f"model.weights={folder}")
    assert config.pipeline()
    index = folder / f"{NETWORK_FILE}.index.json"
    text = index.read_text()
    index.write_text(text[: len(text) // 2])
    assert f"transformer/{index.name} is no index of shards, or cut off" in said_of(config)
    weight_map = json.loads(text)["weight_map"]
    name = next(iter(weight_map))
    index.write_text(json.dumps({"weight_map": weight_map | {name: files[1]}}))
    assert f"says that {files[1]} holds {name}, and it does not" in said_of(config)
    index.unlink()
    assert f"transformer holds 2 shards ({files[0]}, ...) without {index.name}" in said_of(config)


@pytest.mark.parametrize("file", ["model_index.json", "transformer/config.json", "tokenizer_3/tokenizer.json", NETWORK_FILE])
def test_json_that_is_nested_too_deep_is_named(file: str, folder: Path, model: Any) -> None:
    config, path = model(f"model.weights={folder}"), folder / file
    text = b'{"_class_name": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    assert path.is_file()
    path.write_bytes(text if path.suffix == ".json" else len(text).to_bytes(8, "little") + text)
    assert path.name in said_of(config)


def test_what_a_file_manager_left_is_no_part_of_a_pipeline(folder: Path, model: Any) -> None:
    config = model(f"model.weights={folder}")
    plain = config.weights_sha256()
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7")  # what macOS leaves on a foreign disk
    assert config.pipeline() and model(f"model.weights={folder}").weights_sha256() == plain


def test_only_another_variant_is_read_as_advised(folder: Path, raw: Any, model: Any) -> None:
    plain = model(f"model.weights={folder}").weights_sha256()
    with pytest.raises(UserError, match=r"no part of .* has files of that variant(.|\n)*do: model.variant=''"):
        model(f"model.weights={folder}", "model.variant=fp8").pipeline()
    for file in [NETWORK_FILE, *(f"text_encoder{n}/model.safetensors" for n in ("", "_2", "_3"))]:
        path = folder / file
        path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    said = said_of(model(f"model.weights={folder}"))
    assert "transformer holds only the variant fp16" in said and todo_of(said).startswith("model.variant=fp16")
    config = model(f"model.weights={folder}", "model.variant=fp16")
    assert load(config).network is not None and config.weights_sha256() != plain  # its files have other names
    identity = resolve(raw(f"model.weights={folder}", "model.variant=fp16"))[0].identity()["model"]
    assert "variant" not in identity and identity["weights_sha256"] == config.weights_sha256()


@pytest.mark.parametrize("part", ["text_encoder", "text_encoder_3", "vae", "transformer"])
@pytest.mark.slow("the command imports diffusers in a process of its own")
def test_bin_files_are_converted_by_the_command_that_is_advised(part: str, folder: Path, model: Any) -> None:
    config, stem = model(f"model.weights={folder}"), "model" if part.startswith("text") else "diffusion_pytorch_model"
    weights = folder / part / f"{stem}.safetensors"
    want = load_file(weights)
    torch.save(want, folder / part / f"{'pytorch_model' if part.startswith('text') else stem}.bin")
    weights.unlink()
    said = said_of(config)
    assert f"{part} holds " in said and ".bin only" in said
    command = todo_of(said).partition("; or")[0]
    assert command.startswith("python -c ")
    subprocess.run(command.replace("python", sys.executable, 1), shell=True, check=True, capture_output=True)
    assert config.pipeline() and torch.equal(load_file(weights)[next(iter(want))], want[next(iter(want))])


def test_pointers_pages_and_cut_files_are_named(folder: Path, model: Any) -> None:
    config, path = model(f"model.weights={folder}"), folder / "text_encoder_3" / "model.safetensors"
    whole = path.read_bytes()
    for content, problem in (
        (LFS, "text_encoder_3/model.safetensors is a git-lfs pointer, not the file itself"),
        (b"<html>404</html>", "text_encoder_3/model.safetensors is an HTML page"),
        (b"", "text_encoder_3/model.safetensors is empty"),
        (whole[:-100], f"is not a weights file (cut off: {len(whole) - 100:,} of {len(whole):,} bytes)"),
    ):
        path.write_bytes(content)
        assert problem in said_of(config)
    path.write_bytes(LFS)
    assert todo_of(said_of(config)).startswith(f"git -C {folder / 'text_encoder_3'} lfs pull")
    path.write_bytes(whole)
    (folder / "model_index.json").write_bytes(LFS)
    assert "model_index.json is a git-lfs pointer" in said_of(config)


def in_cache(folder: Path, cache: Path, commit: str = COMMIT, reference: str = "main") -> Path:
    """Lay a folder out as the hub's cache does: links to blobs."""
    place = cache / f"models--{REPOSITORY.replace('/', '--')}"
    for name in ("refs", "blobs"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / "refs" / reference).write_text(commit)
    for number, file in enumerate(path for path in sorted(folder.rglob("*")) if path.is_file()):
        blob, link = place / "blobs" / f"{commit[:4]}{number}", place / "snapshots" / commit / file.relative_to(folder)
        shutil.copy(file, blob)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return place / "snapshots" / commit


def test_a_blob_that_is_gone_is_named_and_the_repository_to_fetch(folder: Path, tmp_path: Path, model: Any) -> None:
    snapshot = in_cache(folder, tmp_path / "hub")
    assert model(f"model.weights={REPOSITORY}").pipeline().revisions()["vae"] == COMMIT
    lost = snapshot / "vae" / "diffusion_pytorch_model.safetensors"
    lost.resolve().unlink()
    said = said_of(model(f"model.weights={REPOSITORY}"), MissingError)
    assert "vae/diffusion_pytorch_model.safetensors is a link to " in said and "no file of it" not in said
    assert f"hf download {REPOSITORY}" in todo_of(said)
    said = said_of(model(f"model.weights={snapshot}"), MissingError)  # the cache's folder itself
    assert todo_of(said) == f"hf download {REPOSITORY} --revision {COMMIT}"
    lost.unlink()
    (snapshot.parents[1] / "blobs" / "abc.incomplete").write_bytes(b"x")
    said = said_of(model(f"model.weights={REPOSITORY}"), MissingError)
    assert "no file vae/diffusion_pytorch_model.safetensors (a download was interrupted: 1 .incomplete file) in the hub" in said


def test_a_revision_is_another_commit_and_in_the_key(folder: Path, tmp_path: Path, model: Any) -> None:
    in_cache(folder, tmp_path / "hub")
    main = model(f"model.weights={REPOSITORY}").weights_sha256()
    said = said_of(model(f"model.weights={REPOSITORY}@refs-pr-1"), MissingError)
    assert "no file of it in the hub's cache" in said and f"hf download {REPOSITORY} --revision refs-pr-1" in todo_of(said)
    in_cache(folder, tmp_path / "hub", OTHER_COMMIT, "refs-pr-1")
    revision = model(f"model.weights={REPOSITORY}@refs-pr-1")
    assert revision.pipeline().revisions()["vae"] == OTHER_COMMIT and revision.weights_sha256() != main
    assert model(f"model.weights={REPOSITORY}@{OTHER_COMMIT}").weights_sha256() == revision.weights_sha256()
    assert model(f"model.weights={REPOSITORY}").weights_sha256() == main


def test_another_depth_fails_before_text_is_encoded(folder: Path, raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_text, "load_text", lambda *about: pytest.fail("opened the text encoders"))
    typed = (f"model.weights={folder}", "num=2", "executor.workers=1")
    with pytest.raises(UserError, match=r"its transformer has 6 blocks, and model.blocks = 24") as caught:
        resolve(raw("model.blocks=24", *typed))
    assert todo_of(str(caught.value)).startswith("model.blocks=6 ")
    run = resolve(raw(*typed))[0]
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_layers": 5}))
    with pytest.raises(UserError, match="has 5 blocks"):  # changed since: the worker looks again
        worker.precompute_text(run, "cpu")


def test_plans_count_the_folder_that_is_given(folder: Path, model: Any) -> None:
    given, stated = model(f"model.weights={folder}"), model("model.weights=random", "model.blocks=24")
    small, large = full_pass(given), full_pass(stated)
    assert len(small.blocks) == 6 and sum(small.blocks) < sum(large.blocks) / 1000
    assert given.size_gb() < 0.1 < stated.size_gb() == 15.9


def test_a_variant_of_random_weights_is_refused(model: Any) -> None:
    with pytest.raises(UserError, match=r"model.variant = fp16: model.weights = random has no files of variants"):
        model("model.weights=random", "model.variant=fp16")


def test_every_pipeline_model_has_the_keys_that_messages_name(composed: Callable[..., dict]) -> None:
    for name in ("sd3", "sd35", "flux", "wan_1_3b", "wan_14b"):
        bench = "prompts_video" if name.startswith("wan") else "prompts"
        values = composed(f"model={name}", f"bench={bench}", "model.base=FOLDER", "model.variant=fp16")["model"]
        assert (values["base"], values["variant"]) == ("FOLDER", "fp16")
