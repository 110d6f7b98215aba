"""Words that every room uses: addresses, effects, timers, errors."""
