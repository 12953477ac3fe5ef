"""Objects in S3, Google Cloud Storage and Azure Blob Storage, and in whatever speaks like them, as sources and sinks: `s3://`, `gs://`, `az://`.

They have the formats, types, rejects and positions of files (`linkd_adapters.file`); what is their own is where they lie. Nothing outside of
`bucket` and `refusals` knows the library that is spoken through (obstore).
"""

from linkd_adapters.objects.adapter import ObjectAdapter

ADAPTER = ObjectAdapter()

__all__ = ["ADAPTER", "ObjectAdapter"]
