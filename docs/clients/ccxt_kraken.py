"""A bot for Kraken with ccxt. It knows no secret.

    touchkeep proxy exec --venue kraken -- python3 ccxt_kraken.py balance USDT

`proxy exec` sets KRAKEN_API_KEY (a token of the local proxy), KRAKEN_API_SECRET (a dummy; ccxt wants base64) and
TOUCHKEEP_KRAKEN_URL (the proxy's address). For a bot of its own set them to what `touchkeep proxy add` prints; any base64 is
a secret. Kraken sends money to names of its address book only, so a withdrawal gives one.
"""

import os
import sys

import ccxt

proxy = os.environ["TOUCHKEEP_KRAKEN_URL"]
bot = ccxt.kraken({
    "apiKey": os.environ["KRAKEN_API_KEY"],
    "secret": os.environ["KRAKEN_API_SECRET"],
    # Public requests carry no API key.
    "headers": {"X-Touchkeep-Token": os.environ["KRAKEN_API_KEY"]},
    # Points it at Touchkeep instead of the venue.
    "urls": {"api": {"public": proxy, "private": proxy}},
    # A person may have to read and touch.
    "timeout": 120_000,
})

try:
    match sys.argv[1:]:
        case ["balance", asset]:
            print(f"balance: {bot.fetch_balance()[asset]['free']} {asset} free")
        case ["order", symbol, side, amount, price]:
            order = bot.create_order(symbol, "limit", side, float(amount), float(price))
            print(f"order {order['id']}: {bot.fetch_order(order['id'], symbol)['status']}")
        case ["cancel", order, symbol]:
            bot.cancel_order(order, symbol)
            print(f"order {order}: {bot.fetch_order(order, symbol)['status']}")
        case ["withdraw", asset, amount, address, name]:
            withdrawal = bot.withdraw(asset, float(amount), address, params={"key": name})
            print(f"withdrawal {withdrawal['id']} accepted")
        case _:
            sys.exit("usage: ccxt_kraken.py balance ASSET | order SYMBOL SIDE AMOUNT PRICE | cancel ORDER SYMBOL | withdraw ASSET AMOUNT ADDRESS NAME")
except ccxt.BaseError as error:
    sys.exit(f"{type(error).__name__}: {error}")
