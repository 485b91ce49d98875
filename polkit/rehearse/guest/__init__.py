"""What runs inside the virtual machine, as its first process: Python's standard library and nothing else.

The files of this folder are copied into the machine's memory. They import each other relatively, and nothing of polkit.
"""
