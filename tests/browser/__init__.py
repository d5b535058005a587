"""The console's pages in a real browser, before a real cluster."""
