"""What `/docs` says of the upload's form, which the route reads as it comes."""

from __future__ import annotations

from typing import Final

INGEST_BODY: Final[dict[str, object]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "documents and archives; a file's name is its document's",
                        },
                        "names": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "names in place of the files' own, in their order: guide/setup.md",
                        },
                        "link_list": {
                            "type": "string",
                            "description": "a JSON list of links, where DATAPREP_FETCH_URLS allows them",
                        },
                        "collection": {"type": "string"},
                        "chunk_size": {"type": "integer", "description": "characters; default CHUNK_SIZE"},
                        "chunk_overlap": {"type": "integer", "description": "at most half of chunk_size"},
                    },
                }
            }
        },
    }
}
