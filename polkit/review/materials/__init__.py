"""What is put before the reviewer: modules and sources in every form, read within bounds; nothing of them is run."""
