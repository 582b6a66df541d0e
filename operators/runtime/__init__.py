"""How operators run: immediately, streamed, delegated, cancelled."""
