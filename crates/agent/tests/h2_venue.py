"""A venue over HTTP/2 that does not do what it is asked, with the library `h2`.

    h2_venue.py CERTIFICATE KEY HOW   prints its port, and then a line for each request that reaches it

HOW: `refuses` resets each order's stream with REFUSED_STREAM; `goes-away` says GOAWAY with a last stream before the order's,
`goes-away-with-it` with the order's; `hangs-up` says nothing; `resets` ends the stream with INTERNAL_ERROR;
`one-at-a-time` has SETTINGS_MAX_CONCURRENT_STREAMS 1 and answers. What is no order is answered always.
"""

import asyncio
import ssl
import sys

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived, StreamEnded
from h2.settings import SettingCodes


async def serve_one(how, reader, writer):
    connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    if how == "one-at-a-time":
        connection.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    writer.write(connection.data_to_send())
    asked = {}
    while data := await reader.read(65536):
        for event in connection.receive_data(data):
            if isinstance(event, RequestReceived):
                headers = dict(event.headers)
                asked[event.stream_id] = headers[":method"]
                print(headers[":method"], headers[":path"], flush=True)
            if isinstance(event, StreamEnded) and not answer(how, connection, event.stream_id, asked[event.stream_id]):
                writer.write(connection.data_to_send())
                writer.close()
                return
        writer.write(connection.data_to_send())
        await writer.drain()


def answer(how, connection, stream, method):
    if method == "POST" and how == "refuses":
        connection.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
    elif method == "POST" and how == "resets":
        connection.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
    elif method == "POST" and how.startswith("goes-away"):
        connection.close_connection(last_stream_id=stream if how.endswith("with-it") else max(stream - 2, 0))
        return False
    elif method == "POST" and how == "hangs-up":
        return False
    else:
        connection.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
        connection.send_data(stream, b'{"serverTime": 0, "orderId": 1}', end_stream=True)
    return True


async def main(certificate, key, how):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    tls.set_alpn_protocols(["h2"])
    server = await asyncio.start_server(lambda r, w: serve_one(how, r, w), "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:4]))
