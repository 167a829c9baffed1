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
    r"\bne\s+(?:permet(?:tent)?|contien(?:t|nent)|fourni(?:t|ssent)|trouve|figure(?:nt)?|mentionne(?:nt)?|r\u00e9pond(?:ent)?|sait|sais|l[ea]\s+sai[st])\b[^.]*\bpas\b|"
    r"\b(?:est|sont)\s+inconnue?s?\b|\bimpossible\s+(?:de|\u00e0)\s+(?:dire|r\u00e9pondre|savoir|d\u00e9terminer)|\bpas\s+(?:mentionn|indiqu|pr\u00e9cis|donn|connu|dit)\w*",
    r"\bn(?:\u00e3|a)o\s+(?:(?:\u00e9|foi|est\u00e1|s\u00e3o|foram)\s+(?:informad|mencionad|dad|indicad|especificad|conhecid|revelad|fornecid|dit|poss\u00edvel)\w*|h\u00e1\b|fica\s+claro|respondem?|permitem?|fornecem?|cont\u00e9m)",
    r"\bno\s+(?:es|fue|est\u00e1)\s+(?:posible|conocid|indicad|mencionad|especificad|clar)\w*|\bno\s+(?:permiten?|proporcionan?|contienen?|revelan?|dan?\b|responden?|sabemos|conozco)\b|\bse\s+desconoce\b|\bes\s+desconocid[oa]\b",
    r"\bnon\s+(?:permett\w+|contengono|contiene|forni\w+|riport\w+|rivela\w*|si\s+sa|sappiamo|\u00e8\s+possibile|\u00e8\s+dat[oa]|\u00e8\s+riportat\w+|\u00e8\s+scritto|viene\s+\w+t[oa])\b",
    r"\bweet\s+(?:ik|ik\s+het)\s+niet\b|\b(?:ik|we|wij)\s+wet?e?n?\s+(?:het\s+|dat\s+)?niet\b|\b(?:wordt|worden|is|staat|zijn)\s+(?:er\s+)?niet\s+(?:vermeld|genoemd|bekend|gegeven|gemeld|beschreven|te\s+\w+|in)\b|\bzegt\s+[^.]*\bniets\b",
    r"\b(?:vet|ved|tied|teg)\s+(?:jag|jeg|vi)?\s*(?:inte|ikke)\b|\b(?:framg\u00e5r|n\u00e4mns|anges|st\u00e5r|uppges|sies|n\u00e6vnes|nevnes|fremg\u00e5r|oplyses|opgives|oppgis|fortelles)\s+(?:det\s+)?(?:inte|ikke)\b|\b(?:inte|ikke)\s+(?:n\u00e4mnd?|omtalt|oplyst|opplyst|angivet|besvar\w+|svare?|muligt|m\u00f6jligt)",
    r"\bnie\s+(?:jest|zosta\u0142\w?|s\u0105)\s+(?:podan|znan|wymienion|okre\u015blon|wspomnian)\w*|\bnie\s+(?:mog\u0119|mo\u017cna|wymienia|zawiera\w*|ma\s+(?:tej|takiej))|\bnen(?:\u00ed|i)\s+(?:uveden|zn\u00e1m|zm\u00edn\u011bn|pops\u00e1n|jasn|mo\u017en)\w*|\bne(?:uv\u00e1d\u00ed|zmi\u0148uje|zn\u00e1me|mohu|obsahuj\w+|p\u00ed\u0161e|\u0159\u00edk\u00e1)\w*",
    r"\bnu\s+(?:este|e|sunt|apare|pot|cunosc)\b|\bnem\s+(?:tudni|tudjuk|ismert|tartalmaz\w*|sz\u00f3l\w*|adj\w*)|\bei\s+(?:ole|kerro\w*|sano\w*|voi|tiedossa|l\u00f6ydy)\b|\bne\s+(?:znam|pi\u0161e|navodi|spominje|vem)\b|\bнет\s+(?:сведений|упоминани\w+|указани\w+)|\bне\s+(?:названа?|назван\w*|упомянут\w*|приведен\w*|содерж\w+|извест\w+|раскры\w+|упоминается|дают|позволя\w+)|\bневозможно\s+(?:ответить|определить|сказать|узнать)",
    r"\b(?:verilme|s\u00f6ylenme|yer\s+alma|ge\u00e7me|a\u00e7\u0131klanma|belirtme)(?:mi\u015f|mekte|mi|z|yor)\w*|\bbilgi\s+(?:bulunm\w+|verilm\w+|i\u00e7erm\w+)|\btidak\s+(?:disebut\w*|mengetahui|dapat|diberikan|tercantum|terdapat)|\bkhông\s+(?:nêu|nói|có\s+thông\s+tin|đề\s+cập|thể|rõ)|\bδεν\s+(?:δίνεται|λέει|είναι\s+γνωστό|έχω|ξέρουμε|προκύπτει|μπορώ)",
    r"لا\s+(?:أدري|تتوفر|تحتوي|يحتوي|تتضمن|يتضمن|يوجد|نعرف)|لم\s+(?:أجد|يرد|يتم\s+ذكر|يحدد|تحدد)|אין\s+(?:מידע|תשובה)|לא\s+(?:נאמר|מוזכר|מופיע|נמסר)|नहीं\s+(?:दी|दिया|लिखा|बताई|है\s+कि)|पता\s+नहीं|نمی[\s\u200c]?دانم|ไม่(?:ทราบ|รู้|ได้ระบุ|มีข้อมูล)",
    r"(?:触れ|述べ|記さ|書か|示さ|言及さ)れて(?:い(?:ません|ない)|おらず)|記述(?:が|は)(?:ありません|ない|見当たりません)|わからない|分からない|判断できません|特定できません|見つかりません|没(?:有)?(?:说|提|写|讲|给出|答案)|(?:并未|未曾|未)(?:提|说明|给出|指出|写明|透露)|无从(?:得知|知晓)|沒有提|언급이\s*없|나오지\s*않|적혀\s*있지\s*않|찾을\s*수\s*없|정보가\s*부족",
    r"\bsteht\s+nirgends\b|\bnirgends\s+(?:\w+\s+)?(?:erw\u00e4hnt|genannt|gesagt)|\b(?:on|nous|j')\s*ignor(?:e|ons)\b|\bnul\s+ne\s+sait\b|\bнеизвестно\b|\bнічого\s+не\b",
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
