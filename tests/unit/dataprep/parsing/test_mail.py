"""E-mails: headers, body and attachments, however they were put together."""

from __future__ import annotations

import io
import zipfile
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from services.dataprep.parsing.archive_names import decode_names
from services.dataprep.parsing.archives import read_members
from services.dataprep.parsing.document import Limits, Unparsable
from services.dataprep.parsing.mail import is_mail, list_attachments, read_mail
from services.dataprep.parsing.registry import parse, supported_suffixes
from services.dataprep.parsing.sandbox import Sandbox
from services.dataprep.upload.batch import unpack_archives
from services.dataprep.upload.multipart import Upload
from tests.outlook import outlook_message
from tests.samples import zipped


def make_mail(
    subject: str = "Rückruf Pumpe 7", body: str = "Der Rückruf beginnt am 3. März."
) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ana <ana@example.org>"
    message["To"] = "Ben <ben@example.org>, Müller <m@example.org>"
    message["Subject"] = subject
    message["Date"] = "Tue, 3 Mar 2026 14:05:00 +0100"
    message.set_content(body, charset="iso-8859-1")
    return message


def text_of(message: EmailMessage) -> str:
    return parse("a.eml", message.as_bytes()).text


def names_in(message: EmailMessage) -> list[str]:
    mail = read_mail(message.as_bytes(), "a.eml")
    return [attachment.name for attachment in list_attachments(mail, supported_suffixes())]


def test_headers_and_body() -> None:
    parsed = parse("a.eml", make_mail().as_bytes())
    assert parsed.text == (
        "Rückruf Pumpe 7\nFrom: Ana <ana@example.org>\nTo: Ben <ben@example.org>, Müller <m@example.org>\n"
        "Date: 2026-03-03 14:05 +0100\n\nDer Rückruf beginnt am 3. März."
    )
    assert parsed.sections[0].path == ("Rückruf Pumpe 7",)
    assert parsed.warnings == ()


def test_a_header_that_breaks_the_rules_is_read() -> None:
    raw = "Subject: Grüße\nFrom: nobody\nDate: soon\n\ntext".encode("cp1252")
    assert parse("a.eml", raw).text == "Grüße\nFrom: nobody\nDate: soon\n\ntext"
    with pytest.raises(Unparsable, match="no headers"):
        parse("a.eml", b"\n\nno mail")


@pytest.mark.parametrize(
    ("plain", "shown"),
    [("All is said in plain text here.", "All is said in plain text here."), ("See HTML", "Loud")],
)
def test_of_two_ways_to_say_it_one_is_read(plain: str, shown: str) -> None:
    message = make_mail(body=plain)
    message.add_alternative("<h2>Loud</h2><p>All is said in HTML here, once again.</p>", subtype="html")
    text = text_of(message)
    assert shown in text
    assert ("plain" in text) != ("in HTML here" in text)


def test_attachments_are_files_and_pictures_in_the_text_are_named() -> None:
    message = make_mail()
    message.add_alternative("<p>Der Rückruf <img src='cid:logo'> beginnt am 3. März.</p>", subtype="html")
    message.get_payload()[1].add_related(b"png", "image", "png", cid="<logo>")
    for name, data in [
        ("Bericht März.csv", b"a;b\n1;2\n"),
        ("x/../Bericht März.csv", b"c;d\n"),
        ("tool.exe", b"MZ"),
    ]:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    message.add_attachment("notes of the day", filename="notes.txt")
    message.add_attachment(make_mail("Inner", "forwarded"))
    assert names_in(message) == ["Bericht März.csv", "Bericht März (2).csv", "notes.txt", "Inner.eml"]
    parsed = parse("a.eml", message.as_bytes())
    assert "Attachments: Bericht März.csv, Bericht März.csv, tool.exe, notes.txt, Inner.eml" in parsed.text
    assert "notes of the day" not in parsed.text
    assert [warning.message for warning in parsed.warnings] == [
        "attachments that are not read: tool.exe, 1 pictures in its text"
    ]


def test_encrypted_and_endlessly_nested_mails_are_refused() -> None:
    closed = b"Subject: x\nContent-Type: application/pkcs7-mime\n\nabc"
    with pytest.raises(Unparsable, match="is encrypted"):
        parse("a.eml", closed)
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (at, at) for at in range(60))
    with pytest.raises(Unparsable, match=r"too deeply|no text"):
        parse("a.eml", b"Subject:\n" + deep + b"Content-Type: text/plain\n\nx")


def test_a_mail_is_read_as_an_archive_of_its_attachments(tmp_path: Path) -> None:
    message = make_mail()
    for at in range(3):
        message.add_attachment(b"a,b\n", maintype="text", subtype="csv", filename=f"{at}.csv")
    path = tmp_path / "0"
    path.write_bytes(message.as_bytes(policy=policy.SMTP))
    members = list(read_members(path, "mail.EML", Limits(), supported_suffixes()))
    assert [member.name for member in members] == ["0.csv", "1.csv", "2.csv"]
    assert b"".join(members[0].pieces) == b"a,b\n"
    with pytest.raises(Unparsable, match="more than 2 files"):
        list(read_members(path, "mail.eml", Limits(members=2), supported_suffixes()))
    assert is_mail("Mail.MSG")


def test_an_outlook_message_and_its_attachments(tmp_path: Path) -> None:
    data = outlook_message(
        "Rückruf Pumpe 7", "Der Rückruf beginnt am 3. März.", {"liste.csv": b"a;b\n", "x.exe": b"MZ"}
    )
    parsed = parse("a.msg", data)
    assert parsed.text == (
        'Rückruf Pumpe 7\nFrom: "Ana" <ana@example.org>\nTo: Ben <ben@example.org>\nDate: 2026-03-03 13:05 +0000\n'
        "Attachments: liste.csv, x.exe\n\nDer Rückruf beginnt am 3. März."
    )
    assert [warning.message for warning in parsed.warnings] == ["attachments that are not read: x.exe"]
    path = tmp_path / "0"
    path.write_bytes(data)
    [member] = read_members(path, "a.msg", Limits(), supported_suffixes())
    assert (member.name, b"".join(member.pieces)) == ("liste.csv", b"a;b\n")


def test_a_broken_outlook_message_is_named() -> None:
    with pytest.raises(Unparsable, match="is not an Outlook message"):
        parse("a.msg", b"Subject: x\n\ntext")
    with pytest.raises(Unparsable, match="is a broken Outlook message"):
        parse("a.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (["資料/日本語の表.txt", "plain.txt"], "cp932"),
        (["ポンプの点検表.csv"], "cp932"),
        (["Prüfung für Köln.txt", "Übersicht.txt"], "cp437"),
        (["café.txt"], "cp437"),
        (["Prüfung.txt", "資料.txt"], "utf-8"),
    ],
)
def test_names_in_archives_that_do_not_say_their_encoding(
    names: list[str], encoding: str, tmp_path: Path
) -> None:
    assert decode_names([name.encode(encoding) for name in names]) == names
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for at, name in enumerate(names):
            archive.writestr("x" * len(name.encode(encoding)) + str(at), b"text")
    data = out.getvalue()
    for at, name in enumerate(names):
        raw = name.encode(encoding)
        data = data.replace(b"x" * len(raw) + str(at).encode(), raw + str(at).encode())
    path = tmp_path / "0"
    path.write_bytes(data)
    assert [member.name for member in read_members(path, "a.zip", Limits())] == [
        f"{name}{at}" for at, name in enumerate(names)
    ]


async def test_attachments_become_documents_also_of_mails_and_archives_within(tmp_path: Path) -> None:
    innermost = make_mail("Deep")
    innermost.add_attachment(b"deepest", maintype="text", subtype="plain", filename="deepest.txt")
    inner = make_mail("Inner")
    inner.add_attachment(innermost)
    outer = make_mail()
    outer.add_attachment(
        zipped({"notes/a.txt": b"packed", "m.eml": inner.as_bytes()}),
        maintype="application",
        subtype="zip",
        filename="x.zip",
    )
    outer.add_attachment(inner)
    path = tmp_path / "upload"
    path.write_bytes(outer.as_bytes())
    sandbox = Sandbox(processes=1, seconds=20, memory_bytes=1 << 30, limits=Limits(members=9))
    try:
        (folder := tmp_path / "folder").mkdir()
        files = await unpack_archives([Upload("mail.eml", path, 1, "")], folder, sandbox)
        assert [(file.name, file.error is None) for file in files] == [
            ("mail.eml", True),
            ("mail.eml/x.zip/notes/a.txt", True),
            ("mail.eml/x.zip/m.eml", True),
            ("mail.eml/x.zip/m.eml/Deep.eml", True),
            ("mail.eml/x.zip/m.eml/Deep.eml/deepest.txt", True),
            ("mail.eml/Inner.eml", True),
            ("mail.eml/Inner.eml/Deep.eml", True),
            ("mail.eml/Inner.eml/Deep.eml/deepest.txt", True),
        ]
        assert files[1].path.read_bytes() == b"packed"
        wrapped = outer
        for _ in range(4):
            wrapped, held = make_mail("Wrapped"), wrapped
            wrapped.add_attachment(held)
        path.write_bytes(wrapped.as_bytes())
        (folder := tmp_path / "second").mkdir()
        refused = [
            file.error.message
            for file in await unpack_archives([Upload("deep.eml", path, 1, "")], folder, sandbox)
            if file.error is not None
        ]
        assert len(refused) == 1
        assert "is nested in more than 3 e-mails and archives" in refused[0]
    finally:
        await sandbox.close()
