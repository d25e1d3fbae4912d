"""Lets ccxt read answers: of each line of JSON, {venue, status, body}, prints the names of the classes of what it raises,
from the one raised to the last, and its message.
"""

import json
import sys

import ccxt
from requests.exceptions import HTTPError

CLIENTS = {}


def read(said):
    name = {"kucoinfutures": "kucoin"}.get(said["venue"], said["venue"])
    ex = CLIENTS.setdefault(name, getattr(ccxt, name)())
    # As after a private call that went well.
    ex.options["hasAlreadyAuthenticatedSuccessfully"] = True

    class Response:
        status_code, reason, headers, text, encoding = said["status"], "Refused", {}, said["body"], "utf-8"

        def raise_for_status(self):
            if self.status_code >= 400:
                raise HTTPError(str(self.status_code))

    ex.session.request = lambda *_, **__: Response()
    try:
        value = ex.fetch(said["url"], "POST", {}, "")
        return {"raised": [], "message": repr(value)}
    except Exception as error:
        return {"raised": [c.__name__ for c in type(error).__mro__], "message": str(error)}


for line in sys.stdin:
    print(json.dumps(read(json.loads(line))))
