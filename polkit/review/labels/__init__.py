"""What entries of file contexts come to on a policy: which paths they are for, and who may then use these."""
