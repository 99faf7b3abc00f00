"""`itemlens index --sync`: a collection follows the files of a mapping.

What did not change in the files since the last sync is left alone, whatever became of it in the collection: a price
that was changed there stays, an item that was deleted there stays deleted. `state` keeps what the files said, as
hashes; `plan` compares; `lease` keeps a second sync of the collection out; `apply` writes.
"""
