"""What Beton remembers: counts, decisions, signals, receipts and sealed credentials. Never an event."""
