"""The embedded store on local disk: what the `edge` backend is made of, all of it blocking.

<directory>/catalogue.db                 which collections there are; its lock makes one process the owner
<directory>/collections/<name>.<hex>/
  shard/ or shard.<hex>/                 vectors and payloads, a Qdrant Edge shard
  current.json                           which of them it is, once one with a graph has replaced the first
  tokens.db                              token vectors, a SQLite file
  revisions.db                           which revisions are hidden, a SQLite file
"""
