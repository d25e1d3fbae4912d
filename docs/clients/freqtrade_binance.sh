#!/bin/sh
# The whole of freqtrade at Binance spot. It knows no secret.
#
#     touchkeep proxy exec --venue binance --client freqtrade -- sh freqtrade_binance.sh trade --config config.json --strategy NAME
#
# `proxy exec` of one venue sets FREQTRADE__EXCHANGE__NAME, __KEY (a token of the local proxy) and __SECRET (a dummy), so
# config.json needs none of them. What follows points its ccxt at the proxy; public requests carry no API key, so the token
# stands in the address. freqtrade logs the address: with `proxy exec` the token in it is worth nothing once the bot has ended.
set -eu
at="$TOUCHKEEP_PROXY_URL/$TOUCHKEEP_TOKEN/binance"
ccxt=FREQTRADE__EXCHANGE__CCXT_CONFIG
export "${ccxt}__URLS__API__public=$at/api/v3" "${ccxt}__URLS__API__private=$at/api/v3" "${ccxt}__URLS__API__v1=$at/api/v1"
export "${ccxt}__URLS__API__sapi=$at/sapi/v1" "${ccxt}__URLS__API__sapiV2=$at/sapi/v2" "${ccxt}__URLS__API__sapiV3=$at/sapi/v3"
# Else it reads the futures' markets too, and candles by WebSocket, both from the venue itself.
export "${ccxt}__OPTIONS__fetchMarkets=[\"spot\"]" FREQTRADE__EXCHANGE__ENABLE_WS=false
# A person may have to read and touch.
export "${ccxt}__timeout=120000"
exec freqtrade "$@"
