"""Fans sessions out to browsers and serves the web page."""
