"""Routes to what there is to see: pictures, spans, and files that browsers play."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse, Response

from vidx.embedder.viewing.making import FILM_TYPE, PICTURE_TYPE
from vidx.errors import VideoError
from vidx.service.bodies import MOST_ID, VideoId
from vidx.service.core import Given
from vidx.service.pictures import plain_picture
from vidx.store.previews import PREVIEW_TYPE

router = APIRouter(prefix="/v1", tags=["media"])

KEPT = {"cache-control": "private, max-age=86400"}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
ClipPath = Annotated[int, Path(ge=0, le=MOST_ID)]


@router.get(
    "/clips/{clip_id}/preview",
    response_class=Response,
    responses={
        200: {"content": {PREVIEW_TYPE: _BINARY, PICTURE_TYPE: _BINARY, "image/svg+xml": _BINARY}}
    },
)
async def preview(core: Given, clip_id: ClipPath) -> Response:
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
        return Response(found, headers=KEPT, media_type=PREVIEW_TYPE)
    return FileResponse(found, headers=KEPT, media_type=PICTURE_TYPE)


@router.get(
    "/clips/{clip_id}/span",
    response_class=FileResponse,
    responses={200: {"content": {FILM_TYPE: _BINARY}}, 206: {"content": {FILM_TYPE: _BINARY}}},
)
async def span(core: Given, clip_id: ClipPath) -> Response:
    """Just the clip, as MP4 without sound, which every browser plays; parts of it too."""
    path = await core.viewing.ask(lambda: core.pictures.of_clip(clip_id, "film"))
    return FileResponse(path, headers=KEPT, media_type=FILM_TYPE)


@router.get(
    "/videos/{video_id}/source",
    response_class=FileResponse,
    responses={200: {"content": {"video/*": _BINARY}}, 206: {"content": {"video/*": _BINARY}}},
)
async def source(core: Given, video_id: Annotated[VideoId, Path()]) -> Response:
    """The file of a video, whole or in parts, where browsers may play it as it is."""
    path, kind = await core.viewing.ask(lambda: core.pictures.source(video_id))
    return FileResponse(path, headers=KEPT, media_type=kind)
