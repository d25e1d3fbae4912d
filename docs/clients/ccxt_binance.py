"""A trading bot as anyone would write it with ccxt. It knows no secret: its API key is a token of the local proxy."""

import os
import sys

import ccxt

bot = ccxt.binance({
    "apiKey": os.environ["BOT_TOKEN"],
    "secret": "a dummy: this bot has no secret",
    "headers": {"X-Touchkeep-Token": os.environ["BOT_TOKEN"]},
    "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
    "timeout": 120_000,
})
# The one line that points it at Touchkeep instead of the venue.
bot.urls["api"] = {
    name: url.replace("https://api.binance.com", os.environ["BOT_BASE_URL"]) for name, url in bot.urls["api"].items() if isinstance(url, str)
}

try:
    match sys.argv[1:]:
        case ["order", symbol, side, amount, price]:
            order = bot.create_order(symbol, "limit", side, float(amount), float(price))
            print(f"order {order['id']}: {order['status']}")
        case ["withdraw", asset, amount, address]:
            withdrawal = bot.withdraw(asset, float(amount), address, params={"network": asset})
            print(f"withdrawal {withdrawal['id']} accepted")
        case _:
            sys.exit("usage: ccxt_binance.py order SYMBOL SIDE AMOUNT PRICE | withdraw ASSET AMOUNT ADDRESS")
except ccxt.BaseError as error:
    sys.exit(f"{type(error).__name__}: {error}")
