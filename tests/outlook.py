"""Outlook messages (MS-OXMSG) in OLE compound files (MS-CFB), made by code: small ones, of small streams."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_END, _FREE, _FAT, _NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF
Tree = Mapping[str, "bytes | Tree"]


def compound_file(tree: Tree) -> bytes:
    """A compound file of storages and streams, each of less than 4,096 bytes."""
    entries: list[list[object]] = [
        ["Root Entry", 5, _NONE, _NONE, 0, 0]
    ]  # name, kind, right, child, start, size
    mini, minifat = bytearray(), []

    def add(children: Tree, parent: int) -> None:
        before = None
        for name, content in children.items():
            at = len(entries)
            entries.append([name, 2 if isinstance(content, bytes) else 1, _NONE, _NONE, _END, 0])
            entries[parent if before is None else before][3 if before is None else 2] = at
            before = at
            if isinstance(content, bytes):
                count = -(-len(content) // 64)
                if count:
                    entries[at][4:] = [len(minifat), len(content)]
                    minifat.extend([*range(len(minifat) + 1, len(minifat) + count), _END])
                    mini.extend(content.ljust(64 * count, b"\0"))
            else:
                add(content, at)

    add(tree, 0)
    directory = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBBIII", 2 * len(name) + 2, kind, 1, _NONE, right, child)
        + bytes(36)
        + struct.pack("<IQ", start, size)
        for name, kind, right, child, start, size in entries
    )
    parts = [_pad(directory), _pad(struct.pack(f"<{len(minifat)}I", *minifat), b"\xff"), _pad(bytes(mini))]
    fat, starts = [_FAT], []
    for part in parts:
        starts.append(len(fat))
        fat += [*range(len(fat) + 1, len(fat) + len(part) // 512), _END]
    root = struct.pack("<IQ", starts[2], len(mini))
    parts[0] = parts[0][:116] + root + parts[0][128:]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 62, 3, 0xFFFE, 9, 6)
    header += bytes(10) + struct.pack(
        "<IIIIIIIII", 1, starts[0], 0, 4096, starts[1], len(parts[1]) // 512, _END, 0, 0
    )
    header += struct.pack("<I", _FREE) * 108
    return header + struct.pack(f"<{len(fat)}I", *fat).ljust(512, b"\xff") + b"".join(parts)


def _pad(data: bytes, by: bytes = b"\0") -> bytes:
    return data.ljust(-(-max(len(data), 1) // 512) * 512, by)


def _properties(texts: Mapping[int, str | bytes], header: int, more: bytes = b"") -> dict[str, bytes]:
    streams, listed = {}, bytearray(more)
    for name, value in texts.items():
        kind = 0x1F if isinstance(value, str) else 0x102
        data = value.encode("utf-16-le") if isinstance(value, str) else value
        streams[f"__substg1.0_{name:04X}{kind:04X}"] = data
        listed += struct.pack("<HHIQ", kind, name, 6, len(data) + 2)
    return {"__properties_version1.0": bytes(header) + bytes(listed), **streams}


def outlook_message(subject: str, body: str, attachments: Mapping[str, bytes]) -> bytes:
    """A message from Ana to Ben of 2026-03-03 13:05 UTC."""
    sent = struct.pack("<HHIQ", 0x40, 0x39, 6, 134170167000000000)
    texts = {0x1A: "IPM.Note", 0x37: subject, 0x1000: body, 0x0C1A: "Ana", 0x0C1F: "ana@example.org"}
    tree: dict[str, bytes | Tree] = {**_properties(texts, 32, sent)}
    head = struct.pack("<8x4I8x", 1, len(attachments), 1, len(attachments))
    tree["__properties_version1.0"] = head + tree["__properties_version1.0"][32:]
    tree["__recip_version1.0_#00000000"] = _properties(
        {0x3001: "Ben", 0x39FE: "ben@example.org", 0x3003: "ben@example.org"}, 8
    )
    for at, (name, data) in enumerate(attachments.items()):
        by_value = struct.pack("<HHIQ", 0x3, 0x3705, 6, 1)
        tree[f"__attach_version1.0_#{at:08X}"] = _properties({0x3701: data, 0x3707: name}, 8, by_value)
    return compound_file(tree)
