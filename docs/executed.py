"""Write the outputs of docs/curation/tutorial.md anew, by running its commands from top to bottom.

    .venv/bin/python docs/executed.py

A test runs them likewise, and compares what they print with what the page says.
"""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from vidx.cli import main as vidx

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/curation/tutorial.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROGRESS = re.compile(r"\d+/\d+ ")  # how lines begin that a terminal shows as a bar, for a moment


class Shell:
    """Runs the commands of a page, one after the other, in one folder."""

    def __init__(self) -> None:
        self._code = 0

    def run(self, command: str) -> str:
        """What a command prints, as a page has it."""
        words = shlex.split(command)
        if words[0] == "vidx":
            printed = self._vidx(words[1:])
        elif command == "echo $?":
            printed = str(self._code)
        else:
            if words[0] == "python":
                command = shlex.join([sys.executable, str(ROOT / words[1]), *words[2:]])
            printed = subprocess.run(
                ["bash", "-c", command], check=True, capture_output=True, text=True
            ).stdout
        lines = [line.rstrip() for line in printed.rstrip().splitlines()]
        return "".join(f"{line}\n" for line in lines if not PROGRESS.match(line))

    def _vidx(self, arguments: list[str]) -> str:
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            try:
                vidx(arguments)
            except SystemExit as ended:
                self._code = int(ended.code or 0)
        return printed.getvalue()


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a block, with what the page says that it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed.rstrip() + "\n" if printed.strip() else ""


def executed(page: str) -> str:
    """A page with the outputs of its commands as they are now, run in the working folder."""
    shell = Shell()

    def block(found: re.Match[str]) -> str:
        told = [f"$ {command}\n{shell.run(command)}" for command, _ in commands(found[1])]
        return f"```console\n{''.join(told)}```"

    return BLOCK.sub(block, page)


def main() -> None:
    """Write the page anew."""
    with TemporaryDirectory() as folder, chdir(folder):
        PAGE.write_text(executed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
