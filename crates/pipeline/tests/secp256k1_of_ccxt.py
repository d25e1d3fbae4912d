"""The signature that ccxt makes of 32 bytes of 7 with a key of 32 bytes of 11: r, s and v, in hex."""

import ccxt

made = ccxt.Exchange.ecdsa("07" * 32, "0b" * 32, "secp256k1", None)
print(made["r"].rjust(64, "0") + made["s"].rjust(64, "0") + format(27 + made["v"], "02x"))
