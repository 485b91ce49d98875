"""``polkit review --host``: the local modules of a module store, and what could be removed."""
