"""What a module grants: what its statements come to on a policy, and what is newly allowed, by whose doing."""
