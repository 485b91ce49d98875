"""The causes of a refusal, one file each: every file has ``examine(question)``, which gives a Finding or None."""
