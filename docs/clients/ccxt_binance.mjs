// A bot for Binance spot with ccxt of npm. It knows no secret.
//
//     touchkeep proxy exec --venue binance -- node ccxt_binance.mjs balance USDT
//
// `proxy exec` sets BINANCE_API_KEY (a token of the local proxy) and TOUCHKEEP_BINANCE_URL (its address). For a bot of its own
// set both to what `touchkeep proxy add` prints.

import ccxt from "ccxt";

const { BINANCE_API_KEY: token, TOUCHKEEP_BINANCE_URL: proxy } = process.env;
const bot = new ccxt.binance({
    apiKey: token,
    secret: "a dummy: this bot has no secret",
    // Public requests carry no API key.
    headers: { "X-Touchkeep-Token": token },
    options: { defaultType: "spot", fetchMarkets: { types: ["spot"] }, fetchCurrencies: false, fetchMargins: false },
    // A person may have to read and touch.
    timeout: 120_000,
});
// Points it at Touchkeep instead of the venue.
for (const [name, url] of Object.entries(bot.urls.api)) {
    if (typeof url === "string") bot.urls.api[name] = url.replace("https://api.binance.com", proxy);
}

const [verb, ...args] = process.argv.slice(2);
try {
    if (verb === "balance") {
        const [asset] = args;
        console.log(`balance: ${(await bot.fetchBalance())[asset].free} ${asset} free`);
    } else if (verb === "order") {
        const [symbol, side, amount, price] = args;
        const order = await bot.createOrder(symbol, "limit", side, Number(amount), Number(price));
        console.log(`order ${order.id}: ${order.status}`);
    } else if (verb === "cancel") {
        const [order, symbol] = args;
        console.log(`order ${order}: ${(await bot.cancelOrder(order, symbol)).status}`);
    } else if (verb === "withdraw") {
        const [asset, amount, address] = args;
        const withdrawal = await bot.withdraw(asset, Number(amount), address, undefined, { network: asset });
        console.log(`withdrawal ${withdrawal.id} accepted`);
    } else {
        console.error("usage: ccxt_binance.mjs balance ASSET | order SYMBOL SIDE AMOUNT PRICE | cancel ORDER SYMBOL | withdraw ASSET AMOUNT ADDRESS");
        process.exitCode = 2;
    }
} catch (error) {
    if (!(error instanceof ccxt.BaseError)) throw error;
    console.error(`${error.name}: ${error.message}`);
    process.exitCode = 1;
}
