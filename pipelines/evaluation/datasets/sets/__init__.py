"""The data sets with a name: each is a function under `@dataset("name")`, found by listing this folder."""
