"""Artifacts on disk: content under its digest, stored once.

    artifacts/
      packs/%08d.pack     the log of all artifacts: small ones with their content, of a large one that it is there (`pack_format`)
      whole/DIGEST        large ones, each as it is, under 64 hexadecimal digits
      aside/              what is on its way in or out; a start decides by the index what each of it is (`naming`)
      index.db            where each lies, who names it, when it was used last; made again from the rest whenever it does not fit (`index`)

An artifact is there from the moment when its record in the newest pack file is synced; a large one is synced before that, under a name in `aside/`,
and gets its own behind it. One thread (`committer`) writes the packs, a group at a time, and then the index. What is read is held against the digest
or the checksums of its pieces before it leaves; what does not fit is set aside in `quarantine/` of the home and is not served.

`store` is what the home sees. All file access goes through `linkd.store.files.Files`. No network, no protobuf, and nothing of links, but that values
name artifacts (`core.artifact_references`).
"""
