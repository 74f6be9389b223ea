"""Where sessions are kept: the ports (`base`) and the adapters behind them."""
