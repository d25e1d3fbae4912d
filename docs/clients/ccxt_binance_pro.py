"""A bot that follows the market over a WebSocket, with ccxt.pro (part of ccxt), and trades over REST. It knows no secret.

    touchkeep proxy exec --venue binance -- python3 ccxt_binance_pro.py follow BTC/USDT

`proxy exec` sets BINANCE_API_KEY (a token of the local proxy) and TOUCHKEEP_BINANCE_URL (its address). For a bot of its own
set both to what `touchkeep proxy add` prints. Orders go over REST: a socket that takes orders could trade outside the rules,
so the proxy relays none.
"""

import asyncio
import os
import sys

import ccxt.pro as ccxt

token, proxy = os.environ["BINANCE_API_KEY"], os.environ["TOUCHKEEP_BINANCE_URL"]
with_token = {"X-Touchkeep-Token": token}
bot = ccxt.binance({
    "apiKey": token,
    "secret": "a dummy: this bot has no secret",
    # Public requests and streams carry no API key.
    "headers": with_token,
    "options": {
        "defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False,
        "ws": {"options": {"headers": with_token}},
    },
    # A person may have to read and touch.
    "timeout": 120_000,
})
# Points it at Touchkeep instead of the venue.
bot.urls["api"] = {
    **{name: url.replace("https://api.binance.com", proxy) for name, url in bot.urls["api"].items() if isinstance(url, str)},
    "ws": {"spot": proxy.replace("http://", "ws://") + "/ws"},
}


async def run():
    match sys.argv[1:]:
        case ["follow", symbol]:
            ticker = await bot.watch_ticker(symbol)
            print(f"{symbol} is at {ticker['last']}")
            # An order that waits well below.
            order = await bot.create_order(symbol, "limit", "buy", 0.01, ticker["last"] * 0.8)
            print(f"order {order['id']}: {order['status']}")
            print(f"order {order['id']}: {(await bot.cancel_order(order['id'], symbol))['status']}")
        case _:
            sys.exit("usage: ccxt_binance_pro.py follow SYMBOL")


async def main():
    try:
        await run()
    except ccxt.BaseError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    finally:
        await bot.close()


asyncio.run(main())
