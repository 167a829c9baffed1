"""Questions that a relevance rule must tell apart: rows of parts, and eight facts in six languages. Our own."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.retrieval_sets import Document


@dataclass(frozen=True)
class Group:
    """Questions to a corpus. Each one's document, by its name; None where no document answers it."""

    name: str
    documents: Mapping[str, Document]
    questions: tuple[tuple[str, str | None], ...]


PARTS = 122


def make_parts() -> dict[str, Document]:
    """Make rows of a parts list; every other one has no words for what its figures are."""
    draw = random.Random(4711)
    rows: dict[str, Document] = {}
    while len(rows) < PARTS:
        part = f"PPR-{draw.randrange(2200, 9999)}"
        torque, weight, thread = draw.randrange(5, 95), draw.randrange(1, 90) / 10, draw.choice((4, 5, 6, 8))
        bare = f"{part} | {torque} | {weight} | M{thread} | {draw.choice('ABCDE')}{draw.randrange(1, 40)}"
        full = f"Part: {part}; Torque: {torque} Nm; Weight: {weight} kg; Thread: M{thread}"
        rows[part] = Document(bare if len(rows) % 2 else full)
    return rows


CODES = {
    "E-4711": "Error E-4711: the pump does not start because the dry-run protection has tripped.",
    "0x80070005": "Code 0x80070005 means that access to the folder is denied.",
    "C++": "The driver is written in C++ and ships as one library.",
    "v2.3.10": "Version 2.3.10 mends the leak of the inlet valve.",
    "AB/123/C": "The seal (AB/123/C) fits all housings made after May.",
    "trq_max_17": "Set trq_max_17 to the greatest torque that the wrench may use.",
    "RFC 2119": "Words such as must and should are used as in RFC 2119.",
    "192.168.10.4": "The controller of hall two answers at 192.168.10.4.",
    "E-4712": "Error E-4712: the inlet valve does not close.",
    "0x80070006": "Code 0x80070006 means that the handle is invalid.",
    "v2.3.1": "Version 2.3.1 changes the colour of the display.",
    "FADEC": "The FADEC keeps the engine within its limits.",
}

SPELLINGS = {
    "E-4711": ("E-4711", "e4711", "E\u20114711?", "what is E 4711"),
    "0x80070005": ("0x80070005", "0X80070005"),
    "C++": ("C++", "which part uses C++?"),
    "v2.3.10": ("v2.3.10", "2.3.10", "changes in version 2.3.10"),
    "AB/123/C": ("AB/123/C", "AB-123-C", "ab123c"),
    "trq_max_17": ("trq_max_17", "TRQ_MAX_17"),
    "RFC 2119": ("RFC 2119", "RFC2119", "rfc-2119"),
    "192.168.10.4": ("192.168.10.4",),
    "FADEC": ("FADEC",),
}
ABSENT = ("E-4713", "0x80070007", "v2.3.11", "AB/124/C", "trq_max_18", "RFC 2118")


def identifiers() -> list[Group]:
    """The parts by a question and by the bare number, codes as people type them, and codes that are in no row."""
    rows = make_parts()
    draw = random.Random(9087)
    asked = draw.sample(sorted(rows), 30)
    absent = [code for code in (f"PPR-{number}" for number in range(2200, 9999, 251)) if code not in rows][
        :30
    ]
    codes = {name: Document(text) for name, text in CODES.items()}
    return [
        Group("parts", rows, tuple((f"What is the torque of {part}?", part) for part in asked)),
        Group("bare parts", rows, tuple((part.replace("-", ""), part) for part in asked)),
        Group("codes", codes, tuple((text, code) for code, texts in SPELLINGS.items() for text in texts)),
        Group("absent parts", rows, tuple((f"What is the torque of {code}?", None) for code in absent)),
        Group("absent codes", codes, tuple((f"What does {code} mean?", None) for code in ABSENT)),
    ]


_FACTS: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        (
            "The fee for the water connection is 45 euros a year.",
            "How high is the fee for the water connection?",
        ),
        (
            "The lamp of the lighthouse burns 300 litres of oil a year.",
            "How much oil does the lighthouse burn?",
        ),
        ("The town library is closed on Mondays.", "On which day is the library closed?"),
        ("Dogs must be kept on a lead in the town park.", "Must dogs be on a lead in the park?"),
        (
            "The guarantee of the garden pump lasts seven years.",
            "How long is the guarantee of the garden pump?",
        ),
        ("A parking permit for residents is valid for twelve months.", "How long is a parking permit valid?"),
        (
            "The water of the swimming pool is kept at 28 degrees.",
            "How warm is the water of the swimming pool?",
        ),
        ("The museum was founded by a glass maker in 1904.", "Who founded the museum?"),
    ),
    "de": (
        (
            "Die Geb\u00fchr f\u00fcr den Wasseranschluss betr\u00e4gt 45 Euro im Jahr.",
            "Wie hoch ist die Geb\u00fchr f\u00fcr den Wasseranschluss?",
        ),
        (
            "Die Lampe des Leuchtturms verbrennt 300 Liter \u00d6l im Jahr.",
            "Wie viel \u00d6l verbrennt der Leuchtturm?",
        ),
        (
            "Die Stadtbibliothek ist montags geschlossen.",
            "An welchem Tag ist die Stadtbibliothek geschlossen?",
        ),
        ("Hunde sind im Stadtpark an der Leine zu f\u00fchren.", "M\u00fcssen Hunde im Park an die Leine?"),
        ("Die Garantie der Gartenpumpe gilt sieben Jahre.", "Wie lange gilt die Garantie der Gartenpumpe?"),
        (
            "Ein Parkausweis f\u00fcr Anwohner ist zw\u00f6lf Monate g\u00fcltig.",
            "Wie lange ist ein Parkausweis g\u00fcltig?",
        ),
        ("Das Wasser im Schwimmbad wird auf 28 Grad gehalten.", "Wie warm ist das Wasser im Schwimmbad?"),
        ("Das Museum wurde 1904 von einem Glasmacher gegr\u00fcndet.", "Wer hat das Museum gegr\u00fcndet?"),
    ),
    "fr": (
        (
            "Les frais de raccordement \u00e0 l'eau sont de 45 euros par an.",
            "Quels sont les frais de raccordement \u00e0 l'eau ?",
        ),
        ("La lampe du phare br\u00fble 300 litres d'huile par an.", "Combien d'huile br\u00fble le phare ?"),
        (
            "La biblioth\u00e8que municipale est ferm\u00e9e le lundi.",
            "Quel jour la biblioth\u00e8que est-elle ferm\u00e9e ?",
        ),
        (
            "Les chiens doivent \u00eatre tenus en laisse dans le parc.",
            "Les chiens doivent-ils \u00eatre en laisse dans le parc ?",
        ),
        (
            "La garantie de la pompe de jardin est de sept ans.",
            "Quelle est la dur\u00e9e de la garantie de la pompe de jardin ?",
        ),
        (
            "La carte de stationnement des riverains est valable douze mois.",
            "Combien de temps la carte de stationnement est-elle valable ?",
        ),
        (
            "L'eau de la piscine est maintenue \u00e0 28 degr\u00e9s.",
            "Quelle est la temp\u00e9rature de l'eau de la piscine ?",
        ),
        (
            "Le mus\u00e9e a \u00e9t\u00e9 fond\u00e9 par un verrier en 1904.",
            "Qui a fond\u00e9 le mus\u00e9e ?",
        ),
    ),
    "es": (
        (
            "La tasa por la conexi\u00f3n de agua es de 45 euros al a\u00f1o.",
            "\u00bfCu\u00e1nto es la tasa por la conexi\u00f3n de agua?",
        ),
        (
            "La l\u00e1mpara del faro quema 300 litros de aceite al a\u00f1o.",
            "\u00bfCu\u00e1nto aceite quema el faro?",
        ),
        ("La biblioteca municipal cierra los lunes.", "\u00bfQu\u00e9 d\u00eda cierra la biblioteca?"),
        (
            "Los perros deben ir con correa en el parque.",
            "\u00bfDeben ir los perros con correa en el parque?",
        ),
        (
            "La garant\u00eda de la bomba de jard\u00edn dura siete a\u00f1os.",
            "\u00bfCu\u00e1nto dura la garant\u00eda de la bomba de jard\u00edn?",
        ),
        (
            "La tarjeta de aparcamiento para residentes es v\u00e1lida doce meses.",
            "\u00bfCu\u00e1nto tiempo es v\u00e1lida la tarjeta de aparcamiento?",
        ),
        (
            "El agua de la piscina se mantiene a 28 grados.",
            "\u00bfA qu\u00e9 temperatura est\u00e1 el agua de la piscina?",
        ),
        ("El museo fue fundado por un vidriero en 1904.", "\u00bfQui\u00e9n fund\u00f3 el museo?"),
    ),
    "ja": (
        (
            "\u6c34\u9053\u306e\u63a5\u7d9a\u6599\u306f\u5e74\u306b45\u30e6\u30fc\u30ed\u3067\u3059\u3002",
            "\u6c34\u9053\u306e\u63a5\u7d9a\u6599\u306f\u3044\u304f\u3089\u3067\u3059\u304b\u3002",
        ),
        (
            "\u706f\u53f0\u306e\u30e9\u30f3\u30d7\u306f\u5e74\u306b300\u30ea\u30c3\u30c8\u30eb\u306e\u6cb9\u3092\u71c3\u3084\u3057\u307e\u3059\u3002",
            "\u706f\u53f0\u306f\u3069\u308c\u3060\u3051\u306e\u6cb9\u3092\u71c3\u3084\u3057\u307e\u3059\u304b\u3002",
        ),
        (
            "\u5e02\u7acb\u56f3\u66f8\u9928\u306f\u6708\u66dc\u65e5\u306b\u9589\u9928\u3057\u307e\u3059\u3002",
            "\u56f3\u66f8\u9928\u306f\u4f55\u66dc\u65e5\u306b\u9589\u9928\u3057\u307e\u3059\u304b\u3002",
        ),
        (
            "\u516c\u5712\u3067\u306f\u72ac\u306b\u30ea\u30fc\u30c9\u3092\u3064\u3051\u306a\u3051\u308c\u3070\u306a\u308a\u307e\u305b\u3093\u3002",
            "\u516c\u5712\u3067\u72ac\u306b\u30ea\u30fc\u30c9\u306f\u5fc5\u8981\u3067\u3059\u304b\u3002",
        ),
        (
            "\u5ead\u7528\u30dd\u30f3\u30d7\u306e\u4fdd\u8a3c\u671f\u9593\u306f\u4e03\u5e74\u3067\u3059\u3002",
            "\u5ead\u7528\u30dd\u30f3\u30d7\u306e\u4fdd\u8a3c\u671f\u9593\u306f\u4f55\u5e74\u3067\u3059\u304b\u3002",
        ),
        (
            "\u4f4f\u6c11\u306e\u99d0\u8eca\u8a31\u53ef\u8a3c\u306f\u5341\u4e8c\u304b\u6708\u6709\u52b9\u3067\u3059\u3002",
            "\u99d0\u8eca\u8a31\u53ef\u8a3c\u306f\u3044\u3064\u307e\u3067\u6709\u52b9\u3067\u3059\u304b\u3002",
        ),
        (
            "\u30d7\u30fc\u30eb\u306e\u6c34\u6e29\u306f28\u5ea6\u306b\u4fdd\u305f\u308c\u3066\u3044\u307e\u3059\u3002",
            "\u30d7\u30fc\u30eb\u306e\u6c34\u6e29\u306f\u4f55\u5ea6\u3067\u3059\u304b\u3002",
        ),
        (
            "\u535a\u7269\u9928\u306f1904\u5e74\u306b\u30ac\u30e9\u30b9\u8077\u4eba\u304c\u8a2d\u7acb\u3057\u307e\u3057\u305f\u3002",
            "\u535a\u7269\u9928\u306f\u8ab0\u304c\u8a2d\u7acb\u3057\u307e\u3057\u305f\u304b\u3002",
        ),
    ),
    "zh": (
        (
            "\u81ea\u6765\u6c34\u63a5\u5165\u8d39\u4e3a\u6bcf\u5e7445\u6b27\u5143\u3002",
            "\u81ea\u6765\u6c34\u63a5\u5165\u8d39\u662f\u591a\u5c11\uff1f",
        ),
        (
            "\u706f\u5854\u7684\u706f\u6bcf\u5e74\u71c3\u70e7300\u5347\u6cb9\u3002",
            "\u706f\u5854\u6bcf\u5e74\u71c3\u70e7\u591a\u5c11\u6cb9\uff1f",
        ),
        (
            "\u5e02\u56fe\u4e66\u9986\u661f\u671f\u4e00\u95ed\u9986\u3002",
            "\u56fe\u4e66\u9986\u661f\u671f\u51e0\u95ed\u9986\uff1f",
        ),
        (
            "\u5728\u516c\u56ed\u91cc\u72d7\u5fc5\u987b\u7275\u7ef3\u3002",
            "\u516c\u56ed\u91cc\u7684\u72d7\u5fc5\u987b\u7275\u7ef3\u5417\uff1f",
        ),
        (
            "\u82b1\u56ed\u6c34\u6cf5\u7684\u4fdd\u4fee\u671f\u4e3a\u4e03\u5e74\u3002",
            "\u82b1\u56ed\u6c34\u6cf5\u7684\u4fdd\u4fee\u671f\u591a\u957f\uff1f",
        ),
        (
            "\u5c45\u6c11\u505c\u8f66\u8bc1\u7684\u6709\u6548\u671f\u4e3a\u5341\u4e8c\u4e2a\u6708\u3002",
            "\u505c\u8f66\u8bc1\u7684\u6709\u6548\u671f\u662f\u591a\u4e45\uff1f",
        ),
        (
            "\u6e38\u6cf3\u6c60\u7684\u6c34\u6e29\u4fdd\u6301\u572828\u5ea6\u3002",
            "\u6e38\u6cf3\u6c60\u7684\u6c34\u6e29\u662f\u591a\u5c11\u5ea6\uff1f",
        ),
        (
            "\u535a\u7269\u9986\u7531\u4e00\u4f4d\u73bb\u7483\u5de5\u5320\u4e8e1904\u5e74\u521b\u5efa\u3002",
            "\u535a\u7269\u9986\u662f\u8c01\u521b\u5efa\u7684\uff1f",
        ),
    ),
}

_OFF_TOPIC = {
    "en": (
        "What is the capital of Australia?",
        "How does a violin make its sound?",
        "Who painted the Mona Lisa?",
        "How many legs does a spider have?",
    ),
    "de": (
        "Was ist die Hauptstadt von Australien?",
        "Wie entsteht der Ton einer Geige?",
        "Wer malte die Mona Lisa?",
        "Wie viele Beine hat eine Spinne?",
    ),
    "fr": (
        "Quelle est la capitale de l'Australie ?",
        "Comment le violon produit-il un son ?",
        "Qui a peint la Joconde ?",
        "Combien de pattes a une araign\u00e9e ?",
    ),
    "es": (
        "\u00bfCu\u00e1l es la capital de Australia?",
        "\u00bfC\u00f3mo suena un viol\u00edn?",
        "\u00bfQui\u00e9n pint\u00f3 la Mona Lisa?",
        "\u00bfCu\u00e1ntas patas tiene una ara\u00f1a?",
    ),
    "ja": (
        "\u30aa\u30fc\u30b9\u30c8\u30e9\u30ea\u30a2\u306e\u9996\u90fd\u306f\u3069\u3053\u3067\u3059\u304b\u3002",
        "\u30d0\u30a4\u30aa\u30ea\u30f3\u306f\u3069\u3046\u3084\u3063\u3066\u97f3\u3092\u51fa\u3057\u307e\u3059\u304b\u3002",
        "\u30e2\u30ca\u30fb\u30ea\u30b6\u3092\u63cf\u3044\u305f\u306e\u306f\u8ab0\u3067\u3059\u304b\u3002",
        "\u30af\u30e2\u306e\u8db3\u306f\u4f55\u672c\u3067\u3059\u304b\u3002",
    ),
    "zh": (
        "\u6fb3\u5927\u5229\u4e9a\u7684\u9996\u90fd\u662f\u54ea\u91cc\uff1f",
        "\u5c0f\u63d0\u7434\u662f\u600e\u6837\u53d1\u58f0\u7684\uff1f",
        "\u8499\u5a1c\u4e3d\u838e\u662f\u8c01\u753b\u7684\uff1f",
        "\u8718\u86db\u6709\u51e0\u6761\u817f\uff1f",
    ),
}


def languages() -> list[Group]:
    """Eight facts in each language and their questions; questions that they do not answer; and across languages."""
    groups = []
    english = {f"en-{at}": Document(text) for at, (text, _) in enumerate(_FACTS["en"])}
    for language, facts in _FACTS.items():
        documents = {f"{language}-{at}": Document(text) for at, (text, _) in enumerate(facts)}
        asked = tuple((question, f"{language}-{at}") for at, (_, question) in enumerate(facts))
        groups.append(Group(language, documents, asked))
        groups.append(
            Group(f"{language} off topic", documents, tuple((text, None) for text in _OFF_TOPIC[language]))
        )
        if language != "en":
            across = tuple((question, f"en-{at}") for at, (_, question) in enumerate(facts))
            groups.append(Group(f"{language} to en", english, across))
    return groups
