"""Checkpoints come from the hub once, then from its cache; a loopback server plays the hub."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

REPO = "organisation/model"
MAIN, OTHER = "a" * 40, "b" * 40
TOKEN = "hf_secret"
WAYS_OUT = ("--model ./folder", "hf download", "HF_HOME", "--model builtin:tiny")

FIND = """
import json, sys
from vidx.embedder.checkpoints.finding import find
from vidx.errors import VidxError
try:
    found = find(sys.argv[1])
    print(json.dumps({"name": found.name, "revision": found.revision,
                      "weights": str(found.weights), "torch": "torch" in sys.modules}))
except VidxError as error:
    print(json.dumps({"error": type(error).__name__, "exit_code": error.exit_code,
                      "problem": error.problem, "next_step": error.next_step}))
"""
LOAD = """
import json, sys
from vidx.embedder.encoder import load
space = load(sys.argv[1], device="cpu").space
print(json.dumps([space.model, space.revision, space.fingerprint]))
"""
MODEL = """
import json, sys
from vidx.embedder.videomae import VideoMAEModel
print(json.dumps(VideoMAEModel.from_pretrained(sys.argv[1]).config.hidden_size))
"""


class Hub(ThreadingHTTPServer):
    """Serves one repository's files as the hub does, and notes what it was asked."""

    def __init__(self, files: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.revisions = {"main": MAIN, MAIN: MAIN, "other": OTHER, OTHER: OTHER}
        self.private = False
        self.gated = False
        self.broken = False
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.server.requests.append((self.path, self.headers.get("Authorization")))
        denied = self.denial()
        if denied:
            return self.refuse(*denied)
        _, _, revision, name = self.path.lstrip("/").removeprefix(REPO).split("/", 3)
        content = (self.server.files / name).read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", self.server.revisions[revision])
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
        return None

    def denial(self) -> tuple[int, str] | None:
        parts = self.path.lstrip("/").split("/")
        if self.server.broken:
            return 501, "NotImplemented"
        if "/".join(parts[:2]) != REPO:
            return 404, "RepoNotFound"
        if self.server.private and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, "RepoNotFound"
        if self.server.gated:
            return 403, "GatedRepo"
        if parts[3] not in self.server.revisions:
            return 404, "RevisionNotFound"
        if not (self.server.files / parts[4]).is_file():
            return 404, "EntryNotFound"
        return None

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tiny_checkpoint, tmp_path) -> Iterator[Hub]:
    server = Hub(shutil.copytree(tiny_checkpoint, tmp_path / "hub"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(tmp_path):
    """ask(endpoint, model, script, **environment): what a fresh process answers."""

    def ask(endpoint: str, model: str = REPO, script: str = FIND, **environment: str) -> dict:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
        own = {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", script, model],
            env=kept | own | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def assert_not_found(answer: dict, problem: str) -> None:
    assert answer["error"] == "ModelNotFound"
    assert answer["exit_code"] == 4
    assert problem in answer["problem"]
    assert all(way in answer["next_step"] for way in WAYS_OUT)


def test_the_first_load_downloads_and_the_second_needs_no_network(hub, ask) -> None:
    first = ask(hub.url)
    assert (first["name"], first["revision"]) == (REPO, MAIN)
    assert not first["torch"]
    fetched = {path.rpartition("/")[2] for path, _ in hub.requests if path.startswith(f"/{REPO}/")}
    assert fetched == {"config.json", "preprocessor_config.json", "model.safetensors"}
    hub.requests.clear()
    assert ask(hub.url) == first
    assert hub.requests == []
    assert ask("http://127.0.0.1:9", HF_HUB_OFFLINE="1") == first


def test_a_checkpoint_of_the_hub_has_the_fingerprint_of_its_folder(
    hub, ask, tiny_checkpoint
) -> None:
    from vidx.embedder.encoder import load

    expected = load(tiny_checkpoint, device="cpu").space.fingerprint
    assert ask(hub.url, script=LOAD) == [REPO, MAIN, expected]


@pytest.mark.long
def test_a_model_by_itself_needs_no_preprocessing_of_the_hub(hub, ask) -> None:
    (hub.files / "preprocessor_config.json").unlink()
    assert ask(hub.url, f"{REPO}@other", script=MODEL) == 64
    assert ask("http://127.0.0.1:9", f"{REPO}@other", script=MODEL, HF_HUB_OFFLINE="1") == 64


def test_a_revision_can_be_named_by_branch_and_commit(hub, ask) -> None:
    assert ask(hub.url, f"{REPO}@other")["revision"] == OTHER
    assert ask(hub.url, f"{REPO}@{MAIN}")["revision"] == MAIN
    assert ask("http://127.0.0.1:9", f"{REPO}@other", HF_HUB_OFFLINE="1")["revision"] == OTHER


def test_all_files_are_of_one_commit_even_if_the_branch_moves_on(hub, ask) -> None:
    ask(hub.url)
    asked = [path for path, _ in hub.requests if path.startswith(f"/{REPO}/")]
    branches = {path for path in asked if "/resolve/main/" in path}
    assert branches == {f"/{REPO}/resolve/main/config.json"}


def test_a_pickle_is_fetched_where_there_are_no_safetensors(hub, ask) -> None:
    (hub.files / "model.safetensors").rename(hub.files / "pytorch_model.bin")
    assert ask(hub.url)["weights"].endswith("pytorch_model.bin")


def test_an_interrupted_download_is_completed(hub, ask, tmp_path) -> None:
    weights = Path(ask(hub.url)["weights"])
    weights.unlink()
    assert_not_found(ask(hub.url, HF_HUB_OFFLINE="1"), "HF_HUB_OFFLINE forbids to download it")
    assert Path(ask(hub.url)["weights"]).exists()


def test_the_token_is_sent_and_opens_a_private_repository(hub, ask) -> None:
    hub.private = True
    assert_not_found(ask(hub.url), "it is private and HF_TOKEN does not open it")
    assert ask(hub.url, HF_TOKEN=TOKEN)["revision"] == MAIN
    assert hub.requests[-1][1] == f"Bearer {TOKEN}"


def test_a_gated_repository_says_to_ask_for_access(hub, ask) -> None:
    hub.gated = True
    assert_not_found(ask(hub.url), f"the hub denies access to '{REPO}'")


def test_a_repository_that_does_not_exist_is_named(hub, ask) -> None:
    assert_not_found(ask(hub.url, "nobody/nothing"), "'nobody/nothing' is not on the hub")


def test_a_revision_that_does_not_exist_is_named(hub, ask) -> None:
    assert_not_found(ask(hub.url, f"{REPO}@gone"), f"'{REPO}' on the hub has no revision 'gone'")


@pytest.mark.parametrize("name", ["a/b/c", "a b", "model--x", "-x"])
def test_a_name_that_is_neither_folder_nor_hub_id_is_refused(hub, ask, name) -> None:
    assert_not_found(ask(hub.url, name), "is neither a folder nor a hub id")


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_repository_that_lacks_a_file_is_no_checkpoint(hub, ask, file) -> None:
    (hub.files / file).unlink()
    answer = ask(hub.url)
    assert answer["error"] == "CheckpointError"
    assert "is no checkpoint in the hub's layout" in answer["problem"]


def test_offline_and_not_cached_names_the_ways_out(hub, ask) -> None:
    answer = ask(hub.url, HF_HUB_OFFLINE="1")
    assert_not_found(answer, f"'{REPO}' is not in the hub's cache, and HF_HUB_OFFLINE forbids")
    assert hub.requests == []


def test_a_hub_that_fails_names_the_ways_out(hub, ask) -> None:
    hub.broken = True
    answer = ask(hub.url)
    assert_not_found(answer, f"is not in the hub's cache and cannot be had from {hub.url}: ")


@pytest.mark.long  # the hub's client tries again for some twenty seconds
def test_a_hub_that_cannot_be_reached_names_the_ways_out(ask) -> None:
    answer = ask("http://127.0.0.1:9")
    assert_not_found(answer, "is not in the hub's cache and cannot be had from http://127.0.0.1:9:")


def test_a_cache_that_cannot_be_written_is_named(hub, ask, tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = ask(hub.url, HF_HOME=str(tmp_path / "file"))
    assert_not_found(answer, "Not a directory")
