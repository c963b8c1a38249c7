"""Write docs/cli.md from the command line's own code; with --check, only say whether it differs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from vidx.cli import cli
from vidx.embedder.decoding.files import VIDEO_EXTENSIONS

PAGE = Path(__file__).parent / "cli.md"

INTRODUCTION = """\
# Command line

Written by `make docs` from the code; a test compares the two.

Results go to standard output, progress and errors to standard error. Every command that reports
has `--json`. The collection is the folder given by `--collection`, else by the environment
variable `VIDX_COLLECTION`, else a `.vidx` in the working folder or one above it, as git finds
`.git`; `embed` makes one where there is none.
"""

EMBED_JSON = """\
## What `vidx embed --json` prints

One object, with `--dry-run` too:

| key | meaning |
|---|---|
| `num_files` | files that were looked at; the counts down to `failed_before` add up to it |
| `embedded` | videos embedded whole; in a dry run those that would be tried |
| `partial` | videos of which a part could be embedded |
| `unchanged` | files already embedded in the same way |
| `duplicate` | files with the content of another file |
| `moved` | files known before under a path that is gone |
| `failed` | files that could not be embedded |
| `failed_before` | files that failed in an earlier run and have not changed since |
| `num_passed_over` | files besides, that hold video under other endings; 0 with `--any` |
| `gone` | locations and failures from these folders that are no longer there; 0 with `--limit` |
| `num_clips` | clips embedded in this run; in a dry run what the headers of the files promise |
| `seconds` | wall-clock time of the run |
| `clips_per_second` | clips embedded a second of that time; in a dry run measured with a few \
of the files, null where it was not |
| `video_seconds` | seconds of video that these clips stand for; in a dry run by the headers |
| `video_hours_per_hour` | hours of video embedded an hour |
| `busy` | shares of the time, 0 to 1, since the model was there: `decoding` (a worker, on \
average), `transfer` (frames into batches and to the device), `device` (on average) and \
`writing` (shards, catalogue, index); null where nothing was embedded, and in a dry run |
| `bottleneck` | the part that the others wait for: one of these, or `cores` where decoding and \
the model fight for them; null where no part is busy half of the time |
| `collection` | the collection's folder |
| `commit` | the last commit of the run; null where nothing was to be changed, and in a dry run |
| `removal` | the commit by which `--prune` took files out, for `vidx restore`; else null |
| `num_values` | values of metadata from manifests that were set; null in a dry run |
| `num_without_preview` | with `--previews`, clips of the whole collection that have none; else 0, \
and in a dry run null |
| `refused_rows` | rows of manifests that were passed over: `manifest`, `row`, `reason` |
| `dry_run` | whether nothing was done |
| `findings` | in a dry run alone: `path` and `status` of each file |
| `estimate` | in a dry run alone: what the files with the status `embed` would take, see below |

A `status` is the name of a count, or tells more: `embed` counts as `embedded`, `twin` (the content
of an earlier file of this run) as `duplicate`, `touched` (unchanged content, but another time) as
`unchanged`. What has the status `passed_over` or `gone` is not among `num_files`.

An `estimate` has `num_to_embed` and `num_probed`, how many files that is and how many of them were
opened (at most 1000, evenly spaced: the rest is scaled by bytes); `embed_seconds`, null with the
reason in `no_rate`; `disk_bytes`, what shards, catalogue and index would grow by, null where the
model is not on this machine; and `problems`, with `path`, `reason` and `message` of each opened
file that cannot be decoded, as far as its header tells.
"""

BENCH_JSON = """\
## What `vidx bench --json` prints

`model`, `device`, `dtype`, `batch_size`, `clip_seconds`, then clips a second of the model alone,
from frames on the device (`ready_clips_per_second`, null with PATHs) and from main memory
(`host_clips_per_second`, `video_hours_per_hour`). With PATHs `library` has:

| key | meaning |
|---|---|
| `num_files`, `num_sampled` | files at the PATHs, and how many of them were decoded |
| `num_workers` | decoding processes |
| `decoding_clips_per_second` | without a model |
| `clips_per_second`, `video_hours_per_hour` | decoding and model together |
| `over_slower` | that rate over the slower one of decoding and the model alone |
| `over_shared` | on a CPU, where both take turns on the same cores: over 1 / (1 / decoding + 1 \
/ model); else null |
| `busy`, `bottleneck` | as `vidx embed --json` prints them |
| `library_seconds`, `library_clips`, `library_hours` | estimates for all the files, by their \
headers |
"""


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_sections("vidx", cli), EMBED_JSON, BENCH_JSON, _extensions()])


def _sections(name: str, command: click.Command) -> Iterator[str]:
    """A command's help, then that of its commands."""
    settings = {"max_content_width": 96, **cli.context_settings}
    context = click.Context(command, info_name=name, **settings)
    yield f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for below, inner in command.commands.items():
            yield from _sections(f"{name} {below}", inner)


def _extensions() -> str:
    listed = " ".join(f"`{extension}`" for extension in VIDEO_EXTENSIONS)
    return (
        "## Which files a folder gives\n\n"
        "Folders are walked recursively; hidden ones are left out. Upper or lower case, these "
        f"extensions count:\n\n{listed}\n\n"
        "Some of them (`.heic`, `.avif`, `.m4a` ...) hold moving pictures only sometimes: a file "
        "without is a failure, `still_image` or `no_video_stream`. A file that is named on the "
        "command line is taken whatever its name.\n\n"
        "A path with wildcards that is not there itself, such as `'videos/**/cam[12]_*.mp4'`, is a "
        "glob: `*`, `?` and `[...]` stand for characters of one name, `**` for any number of "
        "folders. Quote it, else the shell reads it and names each file. What a glob gives is "
        "taken as in a folder: files by these extensions, the others that hold video told "
        "and taken with `--any`, folders walked, hidden names left out unless the pattern has the "
        "dot. One that matches nothing is wrong usage.\n\n"
        "`-` stands for paths on standard input, one a line, or up to each NUL where there is one: "
        "`find videos -newer last -print0 | vidx embed -`. They are as if named here.\n\n"
        "Files with other endings, or none, are held against the signatures of containers and "
        "streams of video: MP4 and QuickTime, Matroska and WebM, AVI, FLV, ASF, Ogg with video, "
        "MPEG, MXF, IVF, YUV4MPEG2, RealMedia, raw H.264 and H.265. `embed` tells how many it "
        "passed over, and takes them with `--any`. Endings of other things, such as `.jpg`, `.mp3` "
        "or `.json`, are not looked into: an animated `.png` is a video when it is named.\n"
    )


def main() -> None:
    """Write the page, or compare it."""
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            sys.exit(f"{PAGE} is not what the code says: run `make docs`.")
    else:
        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
