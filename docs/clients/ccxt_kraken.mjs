// A bot for Kraken with ccxt of npm. It knows no secret.
//
//     touchkeep proxy exec --venue kraken -- node ccxt_kraken.mjs balance USDT
//
// `proxy exec` sets KRAKEN_API_KEY (a token of the local proxy), KRAKEN_API_SECRET (a dummy; ccxt wants base64) and
// TOUCHKEEP_KRAKEN_URL (the proxy's address). For a bot of its own set them to what `touchkeep proxy add` prints; any base64 is
// a secret. Kraken sends money to names of its address book only, so a withdrawal gives one.

import ccxt from "ccxt";

const { KRAKEN_API_KEY: token, KRAKEN_API_SECRET: secret, TOUCHKEEP_KRAKEN_URL: proxy } = process.env;
const bot = new ccxt.kraken({
    apiKey: token,
    secret,
    // Public requests carry no API key.
    headers: { "X-Touchkeep-Token": token },
    // Points it at Touchkeep instead of the venue.
    urls: { api: { public: proxy, private: proxy } },
    // A person may have to read and touch.
    timeout: 120_000,
});

const [verb, ...args] = process.argv.slice(2);
try {
    if (verb === "balance") {
        const [asset] = args;
        console.log(`balance: ${(await bot.fetchBalance())[asset].free} ${asset} free`);
    } else if (verb === "order") {
        const [symbol, side, amount, price] = args;
        const order = await bot.createOrder(symbol, "limit", side, Number(amount), Number(price));
        console.log(`order ${order.id}: ${(await bot.fetchOrder(order.id, symbol)).status}`);
    } else if (verb === "cancel") {
        const [order, symbol] = args;
        await bot.cancelOrder(order, symbol);
        console.log(`order ${order}: ${(await bot.fetchOrder(order, symbol)).status}`);
    } else if (verb === "withdraw") {
        const [asset, amount, address, name] = args;
        const withdrawal = await bot.withdraw(asset, Number(amount), address, undefined, { key: name });
        console.log(`withdrawal ${withdrawal.id} accepted`);
    } else {
        console.error("usage: ccxt_kraken.mjs balance ASSET | order SYMBOL SIDE AMOUNT PRICE | cancel ORDER SYMBOL | withdraw ASSET AMOUNT ADDRESS NAME");
        process.exitCode = 2;
    }
} catch (error) {
    if (!(error instanceof ccxt.BaseError)) throw error;
    console.error(`${error.name}: ${error.message}`);
    process.exitCode = 1;
}
