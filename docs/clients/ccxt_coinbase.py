"""A bot for Coinbase (Advanced Trade) with ccxt. It knows no secret.

    touchkeep proxy exec --venue coinbase -- python3 ccxt_coinbase.py balance USDT

`proxy exec` sets COINBASE_API_KEY (a token of the local proxy), COINBASE_API_SECRET (a dummy: ccxt wants a private key in
PEM, with which it signs tokens that Touchkeep throws away) and TOUCHKEEP_COINBASE_URL (the proxy's address). For a bot of its
own set them to what `touchkeep proxy add` prints, and to any key: openssl ecparam -name prime256v1 -genkey -noout
"""

import os
import sys

import ccxt

bot = ccxt.coinbase({
    "apiKey": os.environ["COINBASE_API_KEY"],
    "secret": os.environ["COINBASE_API_SECRET"],
    # Public requests carry no API key.
    "headers": {"X-Touchkeep-Token": os.environ["COINBASE_API_KEY"]},
    # Points it at Touchkeep instead of the venue.
    "urls": {"api": {"rest": os.environ["TOUCHKEEP_COINBASE_URL"]}},
    # A person may have to read and touch.
    "timeout": 120_000,
})

try:
    match sys.argv[1:]:
        case ["balance", asset]:
            print(f"balance: {bot.fetch_balance({'v3': True})[asset]['free']} {asset} free")
        case ["order", symbol, side, amount, price]:
            order = bot.create_order(symbol, "limit", side, float(amount), float(price))
            print(f"order {order['id']}: {bot.fetch_order(order['id'], symbol)['status']}")
        case ["cancel", order, symbol]:
            bot.cancel_order(order, symbol)
            print(f"order {order}: {bot.fetch_order(order, symbol)['status']}")
        case ["withdraw", asset, amount, address]:
            withdrawal = bot.withdraw(asset, float(amount), address)
            print(f"withdrawal {withdrawal['id']} accepted")
        case _:
            sys.exit("usage: ccxt_coinbase.py balance ASSET | order SYMBOL SIDE AMOUNT PRICE | cancel ORDER SYMBOL | withdraw ASSET AMOUNT ADDRESS")
except ccxt.BaseError as error:
    sys.exit(f"{type(error).__name__}: {error}")
