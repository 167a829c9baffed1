# ruff: noqa: RUF001 - Cyrillic is meant
"""Ways to decline in languages other than English: phrases that may stand in a sentence, and whole
answers."""

from __future__ import annotations

FOREIGN_PHRASES = (
    # a negation beside a verb of saying, knowing or having, in many languages
    r"\b(?:dar(?:ü|ue)ber|dazu|davon|hierzu)\b[^.]*\b(?:nichts|keine?)\b|\b(?:sagt|steht|erw(?:ä|ae)hnt|verr(?:ä|ae)t)\b[^.]*\bnichts\b|"
    r"\bnicht\s+(?:zu\s+)?(?:entnehmen|ersichtlich|hervor|gesagt|klar)\b|\bich\s+kann\s+[^.]*\bnicht\b",
    r"\bon\s+ne\s+(?:sait|dit|conna(?:î|i)t|pr(?:é|e)cise)\b|\bn'en\s+(?:parle|dit|disent|parlent)|\baucune\s+(?:id(?:é|e)e|trace|donn(?:é|e)e|pr(?:é|e)cision)",
    r"\bno\s+(?:lo\s+)?(?:tengo|dispongo|aparece|figura|consta|encuentro|puedo)\b|\bnon\s+ne\s+(?:parla|parlano|dice)\b|"
    r"\bnon\s+(?:è|sono)\s+(?:not|chiar|specificat|indicat|menzionat|disponibil)\w+|\bnon\s+(?:ho|trovo|risulta|posso)\b|"
    r"\bn(?:ã|a)o\s+(?:tenho|consta|posso|encontro|(?:é|est(?:á|a))\s+(?:claro|dito|indicad\w+|conhecid\w+))",
    r"\bniet\s+(?:in\s+de\s+tekst|genoemd|vermeld|aangegeven|duidelijk|gezegd)\b|\bgeen\s+(?:idee|antwoord)\b|\bst(?:å|a)r\s+(?:det\s+)?(?:inte|ikke)\b|"
    r"\b(?:inte|ikke)\s+(?:i\s+teksten|i\s+texten|angiv\w+|k(?:ä|e|j)\w*nt|n(?:ä|e)mn\w*|nevnt|oppgitt)",
    r"\bnie\s+(?:wspomina|podaje|m(?:ó|o)wi|okre(?:ś|s)l\w+|ma\s+informacji)|\bnen(?:í|i)\s+(?:uvedeno|zn(?:á|a)mo)|\bneuv(?:á|a)d(?:í|i)|\bnu\s+(?:(?:ș|s|ş)tiu|se\s+\w+|men(?:ț|t|ţ)ioneaz\w+)|"
    r"\bnem\s+(?:tudom|der(?:ü|u)l|szerepel|eml(?:í|i)t\w*)|\bei\s+(?:mainita|tiedet(?:ä|a)|kerrota)|δεν\s+(?:ξέρω|γνωρίζω|αναφέρεται|υπάρχει)",
    r"\bне\s+(?:указ\w+|сообщ\w+|упомин\w+|говорит\w*|могу|имею|зазначен\w*|згад\w+)|\bbelirtilm\w+|\bbahsedilm\w+|\btidak\s+(?:ada|dijelaskan|menyebutkan)|"
    r"(?:जानकारी|उल्लेख)\s+नहीं|لم\s+(?:يذكر|يُذكر|تذكر|ترد)|لا\s+(?:توجد|ندري|يمكن)",
    r"書かれて(?:いません|いない)|示されて(?:いません|いない)|没有(?:相关|提供|任何)|언급되지\s*않|제공되지\s*않",
    # German, Dutch, Swedish, Danish, Norwegian
    r"\b(?:ich\s+)?wei(?:ß|ss)\s+(?:(?:es|das|ich)\s+)*nicht\b|\b(?:kann|l(?:ä|ae)sst)\s+(?:ich\s+)?(?:\w+\s+){0,3}nicht\s+"
    r"(?:sagen|beantworten|beantwortet|bestimm\w+|beurteilen)\b|\bnicht\s+(?:angegeben|erw(?:ä|ae)hnt|genannt|bekannt|im\s+text|beantwortbar)\b",
    r"\b(?:text|textstellen?|passagen?|dokumente?|quellen?|abschnitte?)\s+(?:sag(?:t|en)|nenn(?:t|en)|erw(?:ä|ae)hn(?:t|en)|"
    r"enth(?:ä|a)lt\w*|gib\w*|geben)\b[^.]*\b(?:nicht|keine?n?)\b|\bsteht\b[^.]*\bnicht\b|\bkeine\s+(?:angaben?|informationen?|auskunft|ahnung)\b",
    r"\bik\s+weet\s+(?:het|dat)\s+niet\b|\bniet\s+(?:vermeld|bekend|genoemd)\b|\b(?:jag\s+vet|jeg\s+ved|jeg\s+vet)\s+(?:inte|ikke)\b|"
    r"\b(?:framgår|nämns|anges)\s+inte\b|\bdet\s+vet\s+(?:jag|jeg)\s+(?:inte|ikke)\b",
    # French
    r"\bje\s+(?:ne\s+)?sais\s+pas\b|\bje\s+l'ignore\b|\b(?:ne|n')\s*(?:le\s+|l'|en\s+|y\s+)?(?:dit|disent|dis|mentionne(?:nt)?|"
    r"pr(?:é|e)cise(?:nt)?|indique(?:nt)?|donne(?:nt)?|parle(?:nt)?|est|sont|peux|peut)\b[^.]*\b(?:pas|aucune?)\b",
    r"\bpas\s+d[e'](?:\s*)(?:information|indication|id(?:é|e)e|r(?:é|e)ponse)s?\b|\baucune\s+(?:information|indication|mention|r(?:é|e)ponse)\b|\bnon\s+(?:pr(?:é|e)cis(?:é|e)|mentionn(?:é|e)|indiqu(?:é|e))e?s?\b",
    # Spanish, Portuguese, Italian
    r"\bno\s+(?:lo\s+)?s(?:é|e)\b|\bno\s+se\s+(?:menciona|sabe|indica|especifica|dice|puede)\b|\bno\s+(?:lo\s+)?(?:dice|menciona|"
    r"indica|especifica|contiene)n?\b|\b(?:sin|no\s+hay|ninguna)\s+(?:informaci(?:ó|o)n|datos|respuesta|menci(?:ó|o)n)\b",
    r"\bn(?:ã|a)o\s+(?:o\s+)?(?:sei|diz|dizem|menciona|mencionam|informa|(?:é|foi)\s+mencionado|se\s+sabe|h(?:á|a)\s+informa\w+)\b",
    r"\bnon\s+(?:lo\s+)?(?:so|dice|dicono|menziona|specifica|indica)\b|\bnon\s+(?:è|viene)\s+(?:menzionat|specificat|indicat|not)\w+\b",
    # Polish, Czech, Russian, Ukrainian, Turkish, Finnish, Hungarian, Indonesian
    r"\bnie\s+wiem\b|\bnie\s+(?:podano|wspomniano|wiadomo)\b|\bnev(?:í|i)m\b|\bне\s+(?:знаю|известно|указан\w*|говор\w+|упомин\w+|сказано|ясно)\b|"
    r"\b(?:нет\s+(?:информации|данных|ответа)|информация\s+отсутствует|данные\s+отсутствуют|не\s+приводится)\b|\bне\s+(?:знаю|відомо|вказано)\b",
    r"\bbilgi\s+yok\b|\bbrak\s+(?:informacji|danych)\b|\b(?:geen|ingen)\s+informati(?:e|on)\b|\bnessuna\s+informazione\b|\bsem\s+informa(?:ç|c)(?:ã|a)o\b|\bbilmiyorum\b|\bbilinmiyor\b|\bbelirtilmemi(?:ş|s)\w*|\ben\s+tied(?:ä|a)\b|\bnem\s+tudom\b|\btidak\s+(?:tahu|disebutkan|diketahui)\b",
    # Japanese, Chinese, Korean, Arabic, Hindi, Hebrew, Vietnamese
    r"(?:分か|わか|判)りません|知りません|記載(?:が|は|されて)?(?:ありません|いません|ない)|(?:述べ|書か|言及)[^。]{0,6}(?:いません|いない)|情報(?:が|は)(?:ありません|ない|不足)|触れられて(?:いません|いない)|答えられません|不明です",
    r"不知道|不清楚|无法(?:确定|回答|得知|判断)|無法(?:確定|回答|得知|判斷)|(?:没有|沒有|未|不曾)(?:说|說|明确|相关信息|提到|提及|说明|說明|给出|提供|相关)|不确定",
    r"모르겠|모릅니다|알\s*수\s*없|언급(?:되지|이)\s*(?:않|없)|나와\s*있지\s*않|정보(?:가|는)?\s*없|명시되(?:어\s*있)?지\s*않",
    r"لا\s*(?:أعرف|أعلم|يذكر|تذكر|يوجد)|غير\s*(?:معروف|مذكور)|नहीं\s+(?:पता|मालूम|बताया|जानता)|לא\s+(?:יודע|ידוע|צוין)|không\s+(?:biết|được\s+đề\s+cập|rõ)",
)
FOREIGN_WHOLE = (
    r"unbekannt|keine\s+angaben?|k\.\s*a|nicht\s+(?:angegeben|bekannt|genannt)|unklar|onbekend|ok(?:ä|a)nd|ukendt|ukjent",
    r"inconnu(?:e|s)?|non\s+(?:précisé|mentionné|indiqué)e?|desconocid[oa]|no\s+(?:consta|especificado|mencionado)|sconosciut[oa]|"
    r"non\s+(?:specificat|menzionat|indicat|not)[oa]|desconhecid[oa]|não\s+(?:informado|mencionado|especificado)",
    r"неизвестно|нет\s+данных|невідомо|nieznan[yae]|nezn(?:á|a)m[ýeoá]|bilinmiyor|tuntematon|ismeretlen|tidak\s+diketahui",
    r"不明|未知|なし|記載なし|無し|无|没有|모름|알\s*수\s*없음|미상|مجهول|غير\s+معروف|अज्ञात|לא\s+ידוע",
)
