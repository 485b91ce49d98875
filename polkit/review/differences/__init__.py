"""``polkit diff``: which of two allows more, a witness for it, and what changed, by what it means."""
