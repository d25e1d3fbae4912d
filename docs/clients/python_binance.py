"""A bot for Binance spot with python-binance. It knows no secret.

    touchkeep proxy exec --venue binance -- python3 python_binance.py balance USDT

`proxy exec` sets BINANCE_API_KEY (a token of the local proxy) and TOUCHKEEP_BINANCE_URL (its address). For a bot of its own
set both to what `touchkeep proxy add` prints. python-binance sends the key with public requests too, so no header is needed.
Its WebSockets (`client.ws_*`, `BinanceSocketManager`) still go to the venue itself: market data works there, and nothing that
needs a key.
"""

import os
import sys

from binance.client import Client
from binance.exceptions import BinanceAPIException


class Kept(Client):
    """The client, pointed at Touchkeep instead of the venue."""

    API_URL = os.environ["TOUCHKEEP_BINANCE_URL"] + "/api"
    MARGIN_API_URL = os.environ["TOUCHKEEP_BINANCE_URL"] + "/sapi"


# A person may have to read and touch.
bot = Kept(os.environ["BINANCE_API_KEY"], "a dummy: this bot has no secret", {"timeout": 120})

try:
    match sys.argv[1:]:
        case ["balance", asset]:
            print(f"balance: {bot.get_asset_balance(asset)['free']} {asset} free")
        case ["order", symbol, "buy", amount, price]:
            order = bot.order_limit_buy(symbol=symbol, quantity=amount, price=price)
            print(f"order {order['orderId']}: {order['status']}")
        case ["cancel", order, symbol]:
            print(f"order {order}: {bot.cancel_order(symbol=symbol, orderId=order)['status']}")
        case ["withdraw", asset, amount, address]:
            withdrawal = bot.withdraw(coin=asset, network=asset, amount=amount, address=address)
            print(f"withdrawal {withdrawal['id']} accepted")
        case _:
            sys.exit("usage: python_binance.py balance ASSET | order SYMBOL buy AMOUNT PRICE | cancel ORDER SYMBOL | withdraw ASSET AMOUNT ADDRESS")
except BinanceAPIException as error:
    sys.exit(f"{type(error).__name__}: {error}")
