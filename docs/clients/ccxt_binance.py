"""A trading bot as anyone would write it with ccxt, for Binance spot. It knows no secret.

    touchkeep proxy exec --venue binance -- python3 ccxt_binance.py balance USDT

`proxy exec` sets BINANCE_API_KEY (a token of the local proxy) and TOUCHKEEP_BINANCE_URL (its address). For a bot of its own
set both to what `touchkeep proxy add` prints.
"""

import os
import sys

import ccxt

bot = ccxt.binance({
    "apiKey": os.environ["BINANCE_API_KEY"],
    "secret": "a dummy: this bot has no secret",
    # Public requests carry no API key.
    "headers": {"X-Touchkeep-Token": os.environ["BINANCE_API_KEY"]},
    "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
    # A person may have to read and touch.
    "timeout": 120_000,
})
# The one line that points it at Touchkeep instead of the venue.
bot.urls["api"] = {
    name: url.replace("https://api.binance.com", os.environ["TOUCHKEEP_BINANCE_URL"]) for name, url in bot.urls["api"].items() if isinstance(url, str)
}

try:
    match sys.argv[1:]:
        case ["balance", asset]:
            print(f"balance: {bot.fetch_balance()[asset]['free']} {asset} free")
        case ["order", symbol, side, amount, price]:
            order = bot.create_order(symbol, "limit", side, float(amount), float(price))
            print(f"order {order['id']}: {order['status']}")
        case ["cancel", order, symbol]:
            print(f"order {order}: {bot.cancel_order(order, symbol)['status']}")
        case ["withdraw", asset, amount, address]:
            withdrawal = bot.withdraw(asset, float(amount), address, params={"network": asset})
            print(f"withdrawal {withdrawal['id']} accepted")
        case _:
            sys.exit("usage: ccxt_binance.py balance ASSET | order SYMBOL SIDE AMOUNT PRICE | cancel ORDER SYMBOL | withdraw ASSET AMOUNT ADDRESS")
except ccxt.BaseError as error:
    sys.exit(f"{type(error).__name__}: {error}")
