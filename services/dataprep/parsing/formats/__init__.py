"""The file formats, one module each: its declaration `FORMAT` and its parser `parse`.

A module that is added here is found by itself (`parsing/registry.py`). Its library is imported in functions.
"""
