"""Probes for whoever runs the servers. They say whether, never what."""

from sqlmodel import Session, text
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mailgov.errors import Unavailable
from mailgov_webmail.visit import Parts


async def healthz(_request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """Pages can be served: the database answers."""
    parts: Parts = request.app.state.parts

    def probe(session: Session) -> None:
        session.connection().execute(text("SELECT 1"))

    try:
        await parts.services.database.query(probe)
    except Unavailable:
        return PlainTextResponse("unavailable", 503)
    return PlainTextResponse("ready")


async def static(request: Request) -> Response:
    """A file of ours; its address changes with its content, so browsers may keep it."""
    parts: Parts = request.app.state.parts
    file = parts.templates.static.get(request.path_params["name"])
    if file is None:
        return PlainTextResponse("not found", 404)
    fresh = request.path_params["tag"] == file.tag
    kept = "public, max-age=31536000, immutable" if fresh else "no-cache"
    return Response(file.content, media_type=file.media_type, headers={"Cache-Control": kept})
