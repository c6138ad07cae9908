"""What outlives a power cut: settings, cards, sessions and counters; it decides nothing about charging."""
