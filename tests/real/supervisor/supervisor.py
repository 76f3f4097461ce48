"""Stands in for Home Assistant's Supervisor, as far as an app meets it.

`supervisor.py HA_URL HA_TOKEN APP_TOKEN INGRESS_PORT` serves, as the Supervisor does by its own source:

- http://supervisor/core/api and /core/websocket on port 80 of every address: the app's token is exchanged, all but a few
  headers are dropped, and what is the Supervisor's own is refused;
- on INGRESS_PORT of loopback the ingress as Core and the Supervisor together make it: from 172.30.32.2, the user that
  the cookie `ingress_session` names written into the headers, those of the client dropped.
"""

import asyncio
import json
import sys

from aiohttp import ClientSession, TCPConnector, WSMsgType, web

HA, HA_TOKEN, APP_TOKEN, INGRESS_PORT = sys.argv[1:]
FORWARDED = ("Accept", "Last-Event-ID", "X-Speech-Content")
INGRESS = "/api/hassio_ingress/t0k-en_1"
APP = "http://127.0.0.1:8099"
OWN = ("x-remote-user-id", "x-remote-user-name", "x-remote-user-display-name", "content-length", "transfer-encoding")


async def api(request: web.Request) -> web.Response:
    """A call of Core's REST API."""
    if request.headers.get("Authorization") != f"Bearer {APP_TOKEN}":
        raise web.HTTPUnauthorized
    path = request.match_info["path"]
    if path.split("/")[0] == "hassio":
        raise web.HTTPForbidden
    headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
    headers |= {"Authorization": f"Bearer {HA_TOKEN}", "Content-Type": request.content_type}
    async with request.app["session"].request(
        request.method, f"{HA}/api/{path}", headers=headers, params=request.query, data=await request.read()
    ) as answer:
        body = await answer.read()
        return web.Response(body=body, status=answer.status, content_type=answer.content_type)


async def pass_on(source, target, is_from_app: bool) -> None:
    """Everything, but for commands that are the Supervisor's own."""
    async for message in source:
        if message.type != WSMsgType.TEXT:
            break
        if is_from_app and isinstance(command := json.loads(message.data), dict):
            if str(command.get("type")).startswith(("supervisor/", "hassio/")):
                error = {"code": "unauthorized", "message": "Unauthorized"}
                await source.send_json({"id": command["id"], "type": "result", "success": False, "error": error})
                continue
        await target.send_str(message.data)
    await target.close()


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Core's WebSocket, which the app gets once its own token was accepted."""
    app = web.WebSocketResponse()
    await app.prepare(request)
    await app.send_json({"type": "auth_required", "ha_version": "stand-in"})
    if (await app.receive_json()).get("access_token") != APP_TOKEN:
        await app.send_json({"type": "auth_invalid", "message": "Invalid access"})
        return app
    async with request.app["session"].ws_connect(f"{HA}/api/websocket", max_msg_size=64 * 1024 * 1024) as core:
        version = (await core.receive_json())["ha_version"]
        await core.send_json({"type": "auth", "access_token": HA_TOKEN})
        await core.receive_json()
        await app.send_json({"type": "auth_ok", "ha_version": version})
        await asyncio.gather(pass_on(core, app, False), pass_on(app, core, True))
    return app


async def ingress(request: web.Request) -> web.Response:
    """The app's page, for who is signed in."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in OWN}
    headers |= {"X-Ingress-Path": INGRESS, "X-Hass-Source": "core.ingress", "X-Forwarded-For": "192.0.2.1, 172.30.32.1"}
    if user := request.cookies.get("ingress_session"):
        headers["X-Remote-User-Id"] = user
    async with request.app["from_supervisor"].request(
        request.method,
        f"{APP}/{request.match_info['path']}",
        headers=headers,
        params=request.query,
        data=await request.read(),
        allow_redirects=False,
    ) as answer:
        dropped = ("transfer-encoding", "content-length", "content-type", "content-encoding")
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in dropped]
        page = web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)
        page.headers.extend(kept)
        return page


async def main() -> None:
    """Serve until standard input ends."""
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app["session"] = ClientSession()
    app["from_supervisor"] = ClientSession(connector=TCPConnector(local_addr=("172.30.32.2", 0)))
    app.router.add_get("/core/websocket", websocket)
    app.router.add_route("*", "/core/api/{path:.+}", api)
    app.router.add_route("*", INGRESS + "/{path:.*}", ingress)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 80).start()
    await web.TCPSite(runner, "127.0.0.1", int(INGRESS_PORT)).start()
    print("up", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


asyncio.run(main())
