"""Routes to what there is to see: pictures, spans, and files that browsers play."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse, Response

from vidx.embedder.viewing.making import FILM_TYPE, PICTURE_TYPE
from vidx.errors import VideoError
from vidx.service.bodies import MOST_ID, VideoId
from vidx.service.core import Core, Given
from vidx.service.pictures import plain_picture
from vidx.store.previews import PREVIEW_TYPE

router = APIRouter(prefix="/v1", tags=["media"])

KEPT = {"cache-control": "private, max-age=86400"}
PASSING = {"cache-control": "no-store"}
# Whose clip it is: at this address there may be another collection tomorrow.
Of = Annotated[str, Query(description="The collection's uuid, for it to be kept.")]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
ClipPath = Annotated[int, Path(ge=0, le=MOST_ID)]


@router.get(
    "/clips/{clip_id}/preview",
    response_class=Response,
    responses={
        200: {"content": {PREVIEW_TYPE: _BINARY, PICTURE_TYPE: _BINARY, "image/svg+xml": _BINARY}}
    },
)
async def preview(core: Given, clip_id: ClipPath, of: Of = "") -> Response:
    """A picture of the middle of a clip, a small one where it was stored with the clip.

    Where none was and its source is gone it is a plain one that says so.
    """
    try:
        found = await core.viewing.ask(lambda: core.pictures.preview(clip_id))
    except VideoError as error:
        text = "source gone" if error.reason == "unreadable" else error.reason.replace("_", " ")
        return Response(
            plain_picture(text), media_type="image/svg+xml", headers={"x-vidx-reason": error.reason}
        )
    if isinstance(found, bytes):
        return Response(found, headers=_kept(core, of), media_type=PREVIEW_TYPE)
    return FileResponse(found, headers=_kept(core, of), media_type=PICTURE_TYPE)


@router.get(
    "/clips/{clip_id}/span",
    response_class=FileResponse,
    responses={200: {"content": {FILM_TYPE: _BINARY}}, 206: {"content": {FILM_TYPE: _BINARY}}},
)
async def span(core: Given, clip_id: ClipPath, of: Of = "") -> Response:
    """Just the clip, as MP4 without sound, which every browser plays; parts of it too."""
    path = await core.viewing.ask(lambda: core.pictures.of_clip(clip_id, "film"))
    return FileResponse(path, headers=_kept(core, of), media_type=FILM_TYPE)


@router.get(
    "/videos/{video_id}/source",
    response_class=FileResponse,
    responses={200: {"content": {"video/*": _BINARY}}, 206: {"content": {"video/*": _BINARY}}},
)
async def source(core: Given, video_id: Annotated[VideoId, Path()]) -> Response:
    """The file of a video, whole or in parts, where browsers may play it as it is."""
    path, kind = await core.viewing.ask(lambda: core.pictures.source(video_id))
    return FileResponse(path, headers=KEPT, media_type=kind)


def _kept(core: Core, of: str) -> dict[str, str]:
    """How long a browser may keep what is of a clip: its number means nothing elsewhere."""
    return KEPT if of == core.collection.uuid else PASSING


# Players ask first how much there is.
for path, answer in (
    ("/clips/{clip_id}/preview", preview),
    ("/clips/{clip_id}/span", span),
    ("/videos/{video_id}/source", source),
):
    router.add_api_route(
        path, answer, methods=["HEAD"], response_class=Response, include_in_schema=False
    )
