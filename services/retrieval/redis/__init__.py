"""A Redis with RediSearch as the store: what the `redis` backend is made of.

Every step is one Lua script, so it happens as a whole for every process that uses the Redis, and is in the
append-only file as a whole or not at all. Every collection that was ever made has an id of its own, and so
its keys are never another's. Keys, below a prefix (`ragline:`):

collections        hash    name -> {"uid", "model", "dim", "index"} as JSON
aliases            hash    alias -> name of a collection
dropped            set     ids of dropped collections whose keys are not all deleted yet
<uid>:p:<point>    hash    a passage: its JSON, vector, token vectors, filter terms, words as often as they
                           weigh, their weights ("<word>:<weight> ..."), and its revision
<uid>:points       zset    all points, in the order of their ids
<uid>:documents    set     documents, hashed
<uid>:d:<document> set     a document's revisions, hashed
<uid>:r:<revision> zset    a revision's points, by their index in the document
<uid>:hidden       hash    revisions that no reader sees -> "staged" or "doomed"
<uid>:df           hash    word -> how many passages have it
"""
