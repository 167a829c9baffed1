"""Archives: what is in them, one problem per member, and what refuses them as a whole."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from services.core.errors import InvalidRequest, PayloadTooLarge, RaglineError
from services.dataprep.parsing.archives import ArchiveRefused, is_archive, read_members
from services.dataprep.parsing.document import Limits, Unparsable
from services.dataprep.parsing.sandbox import Sandbox
from services.dataprep.upload.batch import unpack_archives
from services.dataprep.upload.multipart import Upload
from tests.samples import encrypted_zip, tarred, zipped

SMALL = Limits(members=4, member_bytes=2_000_000, expanded_bytes=3_000_000, ratio=50)


def special(name: str, kind: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type = kind
        info.linkname = "/etc/passwd"
        archive.addfile(info)
    return out.getvalue()


def read(tmp_path: Path, name: str, data: bytes, limits: Limits = SMALL) -> dict[str, bytes | str]:
    """Each member's bytes, or its problem."""
    path = tmp_path / "archive"
    path.write_bytes(data)
    found: dict[str, bytes | str] = {}
    for member in read_members(path, name, limits):
        try:
            found[member.name] = b"".join(member.pieces)
        except ArchiveRefused:
            raise
        except Unparsable as problem:
            found[member.name] = problem.message
    return found


FILES = {"a.md": b"# A", "dir/b.txt": b"text" * 1000, "empty.txt": b""}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.zip", zipped(FILES)),
        ("a.tar", tarred(FILES)),
        ("a.tar.gz", tarred(FILES, "w:gz")),
        ("A.TGZ", tarred(FILES, "w:gz")),
    ],
)
def test_members_come_as_they_are(tmp_path: Path, name: str, data: bytes) -> None:
    assert is_archive(name)
    assert read(tmp_path, name, data) == FILES


def test_a_gzip_is_its_one_file(tmp_path: Path) -> None:
    assert read(tmp_path, "logs/day.txt.gz", gzip.compress(b"text", mtime=0)) == {"day.txt": b"text"}


def test_folders_and_litter_are_passed_over(tmp_path: Path) -> None:
    data = zipped({"dir/": b"", "__MACOSX/._a.md": b"x", "dir/.DS_Store": b"x", "dir/a.md": b"x"})
    assert read(tmp_path, "a.zip", data) == {"dir/a.md": b"x"}


def linked_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link.md")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("good.md", "good")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "member", "words"),
    [
        ("a.zip", zipped({"../up.md": b"x"}), "../up.md", r"\.\. part"),
        ("a.zip", zipped({"/etc/a.md": b"x"}), "/etc/a.md", "absolute"),
        ("a.zip", zipped({"C:/a.md": b"x"}), "C:/a.md", "absolute"),
        ("a.zip", zipped({"a\\b.md": b"x"}), "a\\b.md", "backslash"),
        ("a.tar", tarred({"x/../../up.md": b"x"}), "x/../../up.md", r"\.\. part"),
        ("a.zip", linked_zip(), "link.md", "link"),
        ("a.tar", special("link.md", tarfile.SYMTYPE), "link.md", "link"),
        ("a.tar", special("hard.md", tarfile.LNKTYPE), "hard.md", "link"),
        ("a.tar", special("device", tarfile.CHRTYPE), "device", "device"),
        ("a.tar", special("pipe", tarfile.FIFOTYPE), "pipe", "pipe"),
        ("a.zip", encrypted_zip(zipped({"a.md": b"x"})), "a.md", "encrypted"),
        ("a.zip", zipped({"inner.zip": zipped(FILES)}), "inner.zip", "within an archive"),
        ("a.zip", zipped({"inner.tar.gz": b"x"}), "inner.tar.gz", "within an archive"),
        ("a.tar.gz.gz", gzip.compress(b"x", mtime=0), "a.tar.gz", "within an archive"),
    ],
)
def test_a_member_that_is_refused_names_itself_and_no_other(
    tmp_path: Path, name: str, data: bytes, member: str, words: str
) -> None:
    found = read(tmp_path, name, data)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found.pop(member))
    assert all(isinstance(content, bytes) for content in found.values())


def test_a_large_member_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    limits = Limits(member_bytes=100)
    for name, make in (("a.zip", zipped), ("a.tar", tarred)):
        found = read(tmp_path, name, make({"big.txt": b"x" * 101, "good.txt": b"x" * 100}), limits)
        assert found["good.txt"] == b"x" * 100
        assert "DATAPREP_MAX_FILE_BYTES" in str(found["big.txt"])


def test_a_damaged_member_of_a_zip_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    data = bytearray(zipped({"bad.txt": b"text" * 1000, "good.txt": b"good"}))
    data[data.index(b"bad.txt") + 12] ^= 0xFF
    found = read(tmp_path, "a.zip", bytes(data))
    assert found["good.txt"] == b"good"
    assert "cannot be unpacked" in str(found["bad.txt"])


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.zip", b"", "is empty"),
        ("a.zip", b"no archive", "broken archive"),
        ("a.zip", zipped(FILES)[:-30], "broken archive"),
        ("a.zip", zipped({}), "holds no files"),
        ("a.tar", b"no archive at all", "broken archive"),
        ("a.tar", tarred(FILES)[:1500], "broken archive"),
        ("a.tgz", tarred(FILES, "w:gz")[:60], "broken archive"),
        ("a.txt.gz", gzip.compress(b"text" * 99, mtime=0)[:-9], "broken archive"),
        ("a.txt.gz", b"plain text", "broken archive"),
        ("a.zip", zipped({f"{number}.txt": b"x" for number in range(5)}), "more than 4 files"),
        ("a.zip", zipped({"a.txt": bytes(1_900_000)}), "50 times its size"),
        ("a.tgz", tarred({"a.txt": bytes(1_900_000)}, "w:gz"), "50 times its size"),
        ("a.txt.gz", gzip.compress(bytes(1_900_000), mtime=0), "50 times its size"),
        ("a.tar", tarred({f"{n}.txt": bytes(1_500_000) for n in range(2)}), "more than 3000000 bytes"),
    ],
)
def test_what_refuses_the_archive_as_a_whole(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    with pytest.raises(ArchiveRefused, match=words):
        read(tmp_path, name, data)


async def test_the_archives_of_an_upload_share_what_one_may_unpack_to(tmp_path: Path) -> None:
    sandbox = Sandbox(processes=1, seconds=20, memory_bytes=1 << 30, limits=SMALL)
    data = tarred({"a.txt": bytes(1_200_000)})
    uploads = []
    for number, name in enumerate(("a.tar", "b.tar", "c.tar", "d.txt")):
        path = tmp_path / str(number)
        path.write_bytes(data)
        uploads.append(Upload(name, path, len(data), ""))
    (folder := tmp_path / "folder").mkdir()
    try:
        files = await unpack_archives(uploads, folder, sandbox)
    finally:
        await sandbox.close()
    assert [each.name for each in files] == ["a.tar/a.txt", "b.tar/a.txt", "c.tar", "d.txt"]
    assert isinstance(files[2].error, PayloadTooLarge)
    assert "c.tar and the archives before it unpack to more than 3000000 bytes" in files[2].error.message
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) == 2_400_000


async def test_a_sandbox_unpacks_into_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    sandbox = Sandbox(processes=1, seconds=20, memory_bytes=1 << 30, limits=SMALL)
    try:
        path.write_bytes(zipped({**FILES, "../up.md": b"x"}))
        (first := tmp_path / "first").mkdir()
        members = await sandbox.unpack(path, "docs/a.zip", first)
        assert [member.name for member in members] == [
            *(f"docs/a.zip/{name}" for name in FILES),
            "docs/a.zip/../up.md",
        ]
        good, refused = members[:-1], members[-1]
        assert [member.path.read_bytes() for member in good] == list(FILES.values())
        assert [member.size for member in good] == [len(data) for data in FILES.values()]
        assert isinstance(refused.error, InvalidRequest)
        assert "docs/a.zip/../up.md has an empty, . or .. part" in refused.error.message
        path.write_bytes(zipped({"a.txt": bytes(1_900_000)}))
        (second := tmp_path / "second").mkdir()
        with pytest.raises(PayloadTooLarge, match=r"b\.zip unpacks to more than 50 times"):
            await sandbox.unpack(path, "b.zip", second)
        (third := tmp_path / "third").mkdir()
        path.write_bytes(zipped(FILES))
        assert len(await sandbox.unpack(path, "c.zip", third)) == 3
        assert not any(isinstance(member.error, RaglineError) for member in good)
    finally:
        await sandbox.close()
