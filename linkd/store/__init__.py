"""The store: what makes an acknowledged value stay.

    directory/
      format.json                   what this directory is (`store.directory`)
      journal/N.journal             the log: every frame, small payloads inside (`store.journal_format`)
      segments/LINK/N.arrow         large payloads, and small ones that left the journal, as Arrow IPC streams that any tool reads
                                    (`store.segment_format`); N.arrow.spare was one and may be again (`store.shared_files`)
      checkpoints/LSN.checkpoint    the state behind a frame, so that the journal before it can go; LSN.copy is the same (`store.checkpoint_file`)
      envelopes/LINK/N.envelopes    what is remembered of generations, and of values, that were dropped (`store.envelope_file`)
      _commits/N.arrow              what was committed in journal files that are gone (`store.commit_log`)
      catalog.db                    an index, made again from the rest whenever it does not fit (`store.catalog_file`)
      staging/                      payloads that wait for their commit; emptied at every start (`store.staging`)

The event loop decides where everything will lie (`journal_layout`, `segment_format`: pure), one thread writes and syncs
it (`committer`), another one keeps it small (`upkeep`), and a start reads it back (`recovering`). All file access goes
through `files.Files`, so that a simulator can stand below. Nothing here knows what records mean, beyond values, schemas
and what is dropped; that is `core.ledger`'s. No network, no protobuf; pyarrow
only in `commit_log`, when a journal file goes.
"""
