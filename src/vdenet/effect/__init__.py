"""The few modules that change the machine; only the daemon imports them."""
