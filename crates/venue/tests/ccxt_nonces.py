"""What ccxt takes for a wrong number or time: of each name of a venue, a line of JSON with the codes and words of its table of
exceptions that stand for `InvalidNonce`.
"""

import json
import sys

import ccxt


def wrong(table):
    for said, raised in table.items():
        if isinstance(raised, dict):
            yield from wrong(raised)
        elif isinstance(raised, type) and issubclass(raised, ccxt.InvalidNonce):
            yield said


for line in sys.stdin:
    ex = getattr(ccxt, line.strip())()
    print(json.dumps(sorted(set(wrong(ex.exceptions or {})))))
