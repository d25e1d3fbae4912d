"""A bot that watches its own orders over Kraken's private WebSocket, with ccxt.pro (part of ccxt). It knows no secret.

    touchkeep proxy exec --venue kraken -- python3 ccxt_kraken_pro.py follow BTC/USDT

`proxy exec` sets KRAKEN_API_KEY (a token of the local proxy), KRAKEN_API_SECRET (a dummy; ccxt wants base64) and
TOUCHKEEP_KRAKEN_URL (the proxy's address). The token that Kraken gives for its sockets stays with Touchkeep, because it could
trade: ccxt asks for one and gets a word in its place. Orders go over REST.
"""

import asyncio
import os
import sys

import ccxt.pro as ccxt

token, proxy = os.environ["KRAKEN_API_KEY"], os.environ["TOUCHKEEP_KRAKEN_URL"]
sockets = proxy.replace("http://", "ws://")
with_token = {"X-Touchkeep-Token": token}
bot = ccxt.kraken({
    "apiKey": token,
    "secret": os.environ["KRAKEN_API_SECRET"],
    # Public requests and sockets carry no API key.
    "headers": with_token,
    "options": {"ws": {"options": {"headers": with_token}}},
    # Points it at Touchkeep instead of the venue.
    "urls": {"api": {"public": proxy, "private": proxy, "ws": {"private": sockets + "/auth/v2", "privateV2": sockets + "/auth/v2"}}},
    # A person may have to read and touch.
    "timeout": 120_000,
})


async def run():
    match sys.argv[1:]:
        case ["follow", symbol]:
            order = await bot.create_order(symbol, "limit", "buy", 0.5, 50000)
            print(f"seen {(await bot.watch_orders(symbol))[-1]['status']}")
            later = asyncio.ensure_future(bot.watch_orders(symbol))
            await asyncio.sleep(0)
            await bot.cancel_order(order["id"], symbol)
            print(f"seen {(await later)[-1]['status']}")
        case ["order", symbol]:
            print(await bot.create_order_ws(symbol, "limit", "buy", 0.5, 50000))
        case _:
            sys.exit("usage: ccxt_kraken_pro.py follow SYMBOL | order SYMBOL")


async def main():
    try:
        await run()
    except ccxt.BaseError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    finally:
        await bot.close()


asyncio.run(main())
