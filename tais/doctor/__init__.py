"""Is this machine fit for a screen, and how steady are its answers when nothing changes."""
