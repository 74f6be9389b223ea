"""What both services need to run: settings, logs, metrics, signals. No domain, no storage."""
