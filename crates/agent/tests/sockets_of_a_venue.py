"""A venue with WebSockets, and a client of it, by another implementation.

    sockets_of_a_venue.py serve SECRET        prints its port, and then a line of JSON for each message that it hears
    sockets_of_a_venue.py say URL TOKEN MSG…  prints a line for each answer; MSG `close` waits for the end
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time

import aiohttp
from aiohttp import web


def mac(secret, text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256)


def is_signed(path, said, secret):
    if "okx" in path or path.startswith("/ws/v5"):
        arg = said["args"][0]
        text = arg["timestamp"] + "GET" + "/users/self/verify"
        fresh = abs(int(arg["timestamp"]) - time.time()) < 30
        good = base64.b64encode(mac(secret, text).digest()).decode() == arg["sign"]
        return good and fresh and arg["passphrase"] == "the passphrase", arg["apiKey"]
    if path == "/v5/private":
        key, expires, sign = said["args"]
        return mac(secret, f"GET/realtime{expires}").hexdigest() == sign and expires > time.time() * 1000, key
    arg = said["args"][0]
    text = arg["timestamp"] + "GET" + "/user/verify"
    return base64.b64encode(mac(secret, text).digest()).decode() == arg["sign"], arg["apiKey"]


async def serve(secret):
    async def answer(request):
        if request.headers.get("upgrade", "").lower() != "websocket":
            return web.json_response({"ok": True})
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        offered = request.headers.get("sec-websocket-extensions", "")
        token = any("tkc_" in value for value in (*request.headers.values(), request.path_qs))
        async for message in socket:
            heard = {"path": request.path, "text": message.data, "token": token, "extensions": offered}
            try:
                said = json.loads(message.data)
            except ValueError:
                said = {}
            if said.get("op") in ("login", "auth"):
                heard["signed"], heard["key"] = is_signed(request.path, said, secret)
            print(json.dumps(heard), flush=True)
            await socket.send_str(json.dumps({"echo": said.get("op") or said.get("method") or message.data, "id": said.get("id")}))
        return socket

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


async def say(url, token, messages):
    headers = {"X-Touchkeep-Token": token} if token else {}
    async with aiohttp.ClientSession() as session:
        try:
            socket = await session.ws_connect(url, headers=headers, compress=15)
        except aiohttp.WSServerHandshakeError as refused:
            print(json.dumps({"refused": refused.status}), flush=True)
            return
        for message in messages:
            if message != "close":
                await socket.send_str(message)
            heard = await socket.receive(timeout=30)
            print(json.dumps({"type": heard.type.name, "data": heard.data}), flush=True)


if sys.argv[1] == "serve":
    asyncio.run(serve(sys.argv[2]))
else:
    asyncio.run(say(sys.argv[2], sys.argv[3], sys.argv[4:]))
