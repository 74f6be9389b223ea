"""HTTP: what a browser, or any client, may ask of the gateway."""
