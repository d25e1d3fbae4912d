from freqtrade.strategy import IStrategy


class Always(IStrategy):
    """Buys whenever it may."""

    timeframe = "5m"
    minimal_roi = {"0": 10}
    stoploss = -0.5
    startup_candle_count = 1
    process_only_new_candles = False

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
