"""A bot for Bybit spot (v5) with pybit. It knows no secret.

    touchkeep proxy exec --venue bybit -- python3 pybit_bybit.py balance USDT

`proxy exec` sets BYBIT_API_KEY (a token of the local proxy) and TOUCHKEEP_BYBIT_URL (its address). For a bot of its own set
both to what `touchkeep proxy add` prints. pybit builds its address from a domain and takes none, so `endpoint` is set
afterwards. Its `WebSocket` and `WebSocketTrading` take none either and go to the venue itself: public topics work there, and
nothing that needs a key.
"""

import os
import sys
import time

from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP

# A person may have to read and touch.
bot = HTTP(api_key=os.environ["BYBIT_API_KEY"], api_secret="a dummy: this bot has no secret", timeout=120)
# Points it at Touchkeep instead of the venue.
bot.endpoint = os.environ["TOUCHKEEP_BYBIT_URL"]
# Public requests carry no API key.
bot.client.headers["X-Touchkeep-Token"] = os.environ["BYBIT_API_KEY"]

try:
    match sys.argv[1:]:
        case ["balance", asset]:
            account = bot.get_wallet_balance(accountType="UNIFIED", coin=asset)["result"]["list"][0]
            coin = account["coin"][0]
            print(f"balance: {float(coin['walletBalance']) - float(coin['locked'])} {asset} free")
        case ["order", symbol, side, amount, price]:
            order = bot.place_order(category="spot", symbol=symbol, side=side.capitalize(), orderType="Limit", qty=amount, price=price)
            print(f"order {order['result']['orderId']}: placed")
        case ["cancel", order, symbol]:
            bot.cancel_order(category="spot", symbol=symbol, orderId=order)
            print(f"order {order}: cancelled")
        case ["withdraw", asset, amount, address]:
            withdrawal = bot.withdraw(coin=asset, chain=asset, address=address, amount=amount, accountType="FUND", timestamp=int(time.time() * 1000))
            print(f"withdrawal {withdrawal['result']['id']} accepted")
        case _:
            sys.exit("usage: pybit_bybit.py balance ASSET | order SYMBOL SIDE AMOUNT PRICE | cancel ORDER SYMBOL | withdraw ASSET AMOUNT ADDRESS")
except (FailedRequestError, InvalidRequestError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
