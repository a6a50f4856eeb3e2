"""HEAD for every address that answers GET: the same status and headers, without the body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Wraps the application, which sees a GET whose client disconnects once the headers are sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        is_started = False

        async def send_headers(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def receive_or_end() -> Message:
            return {"type": "http.disconnect"} if is_started else await receive()

        as_get = {**scope, "method": "GET"}
        await self._app(as_get, receive_or_end, send_headers)
        if "route" in as_get:
            scope["route"] = as_get["route"]
