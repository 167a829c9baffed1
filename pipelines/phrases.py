"""How people greet, thank, take leave, and point to what was said before, in several languages. Data.

`tests/bench/conversation.py` measures how often they decide rightly.
"""

from __future__ import annotations

import re

_FILLERS = """
so a lot much very good for your you help again all there to everyone it is was are that's it's how doing
too i'm no yes
sure please sorry welcome got done well this helpful and the later soon day night see you're nice meet up
what's
für die deine ihre hilfe dir ihnen vielen schön sehr und auch allen noch einen schönen ja nein bitte klar
alles mir
das war's war bis später bald wie geht's geht es sie euch wiedersehen auf gut gute guten tag nacht abend
herzlichen besten
pour votre ton aide bien beaucoup oui non tout le monde à bientôt plus tard ça va comment vous tu allez
de rien s'il te plaît plait
au revoir journée soirée nuit bonne d'accord c'est et c'était
por tu su ayuda muy todo todos eso es que tal qué cómo estás está bien sí no luego hasta pronto mañana vale
mucho
muchas buenos buenas días tardes noches nada de con y
per tutto tuo suo aiuto mille molto tante a presto domani come stai va bene di niente buona buon giornata
sera notte
por sua ajuda muito bem tudo até logo amanhã de nada com você está
"""
_GREETING = """
hello hi hey howdy greetings morning afternoon evening bye goodbye thanks thank thx ty cheers ok okay great
cool
nice perfect super awesome alright welcome
hallo hi hey danke dankeschön dank tschüss tschüs ciao moin servus grüezi wiedersehen prima alright
bonjour bonsoir salut coucou merci revoir enchanté enchantée bienvenue parfait génial
hola gracias adiós adios perfecto genial encantado encantada saludos
ciao salve buongiorno buonasera grazie arrivederci perfetto
olá oi obrigado obrigada tchau perfeito
"""
_PHRASES = """
good night|what's up|how are you|how are you doing|how do you do|you're welcome|that's all|see you
see you later|see you soon
take care|well done|got it|good job|have a nice day|good day
wie geht's|wie geht es dir|wie geht es ihnen|wie geht's dir|gute nacht|guten tag|guten abend|guten morgen
grüß gott|grüß dich
bis später|bis bald|bis dann|bis morgen|alles klar|schönen abend|schönen abend noch|schönen tag
schönen tag noch
gern geschehen|das war's|das war alles|freut mich|schönes wochenende
ça va|comment ça va|comment vas-tu|comment allez-vous|bonne nuit|bonne journée|bonne soirée|à bientôt
à plus tard|à plus|à demain
de rien|c'est tout|d'accord|je vous en prie|bon après-midi
qué tal|cómo estás|cómo está|cómo va|buenos días|buenas tardes|buenas noches|hasta luego|hasta pronto
hasta mañana
de nada|eso es todo|mucho gusto|nos vemos|que tengas un buen día|muy amable|está bien|vale
come stai|come va|buona notte|buona giornata|a presto|di niente|bom dia|boa tarde|boa noite|tudo bem
até logo|de nada
"""
_SIGNS = """
こんにちは こんばんは おはようございます おはよう はじめまして ありがとうございました
ありがとうございます ありがとう 感謝します
さようなら さよなら またね またあとで じゃあね バイバイ お疲れ様です お疲れ様でした
お疲れ様 おつかれさま おやすみなさい おやすみ
了解です 了解しました 了解 わかりました 分かりました 承知しました お元気ですか
元気ですか やあ もしもし よろしくお願いします よろしく
助かりました 助かります どうも どういたしまして すみません いいえ はい 大丈夫です
結構です 以上です 皆さん とても 本当に それだけです
你好 您好 早上好 晚上好 晚安 谢谢你 谢谢您 谢谢 謝謝 多谢 再见 再見 不客气 你好吗
好的
안녕하세요 안녕히 안녕 감사합니다 고맙습니다 감사 привет здравствуйте спасибо большое спасибо пока مرحبا شكرا
"""
_REFERRING = """
that this it its these those them above previous former latter again instead more shorter longer simpler
translate summarize summarise rephrase reword rewrite shorten simplify elaborate continue expand repeat
davon darüber dazu daraus damit nochmal nochmals übersetze übersetz zusammenfassen fasse kürzer länger
einfacher
ausführlicher umformulieren formuliere formulier wiederhole obige vorherige
traduis traduire traduisez résume résumez reformule reformulez raccourcis simplifie cela ça continue répète
précédente
traduce tradúcelo resume resúmelo resumir reformula explícalo explícamelo acórtalo amplíalo repítelo ponlo
hazlo hacerlo
escríbelo simplifícalo eso esto anterior continúa
traduci traducilo riassumi riassumilo questo traduza resuma isso
"""
_LAST_ANSWERS = (
    r"\b(last|previous) (answer|reply|response)\b|\bletzten? antwort|\bdernière réponse|\búltima respuesta"
    r"|\w+-(le|la|les|moi|m'en|en)\b"  # traduis-le, dis-m'en, fais-en
)
_FOLLOW_PHRASES = """
why|why not|how so|how come|really|are you sure|is that right|what do you mean|how do you know|go on
tell me more|and then
in other words|for example|such as|says who|which ones|like what
warum|wieso|weshalb|wirklich|bist du sicher|sind sie sicher|was meinst du|was meinen sie|weiter|mach weiter
erzähl mir mehr
zum beispiel|und dann|stimmt das|wie meinst du das|woher weißt du das|genauer|mehr
pourquoi|pourquoi pas|vraiment|tu es sûr|vous êtes sûr|es-tu sûr|êtes-vous sûr|qu'est-ce que tu veux dire
que veux-tu dire
c'est-à-dire|par exemple|et ensuite|dis-m'en plus|développe|vas-y
por qué|por qué no|de verdad|en serio|estás seguro|estás segura|está seguro|qué quieres decir
a qué te refieres|cuéntame más
dime más|por ejemplo|y luego|sigue|más
perché|davvero|sei sicuro|cosa vuoi dire|dimmi di più|por quê|tem certeza|como assim
"""
_REFERRING_SIGNS = """
それ これ その答え この答え さっき 先ほど 上記 前の 今の 訳して 翻訳して 要約
まとめて 言い換え 短く 長く もっと もう一度 もういちど 詳しく 簡単に
リストにして 表にして 箇条書き 続けて 続き なぜ どうして 本当ですか 確かですか
どういう意味 どういうこと 例えば
这个 那个 上面 刚才 翻译 总结 概括 简短 再说 继续 为什么 详细 什么意思 真的吗
다시 번역 요약 왜 계속 그것 이것
"""

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


def read_words(text: str) -> list[str]:
    """Read the words of a text, in lower case."""
    return [match.group().lower().replace("\u2019", "'") for match in WORD.finditer(text)]


def _read_phrases(text: str) -> frozenset[tuple[str, ...]]:
    phrases = text.replace("\n", "|").split("|")
    return frozenset(tuple(read_words(phrase)) for phrase in phrases if phrase.strip())


GREETINGS = frozenset(_GREETING.split())
SMALL_TALK = GREETINGS | frozenset(_FILLERS.split())
"""A message of words of small talk alone, with one that greets, thanks or takes leave, asks no document."""

PHRASES = _read_phrases(_PHRASES)
"""What does so without such a word."""

SIGNS = tuple(sorted(_SIGNS.split(), key=len, reverse=True))
"""The same in scripts that have no words between blanks."""

REFERRING = frozenset(_REFERRING.split())
"""Words that point to what was said before, or ask to do something with it."""

FOLLOW_PHRASES = _read_phrases(_FOLLOW_PHRASES)
"""Whole messages that do so."""

LAST_ANSWER = re.compile(_LAST_ANSWERS, re.IGNORECASE)
REFERRING_SIGNS = tuple(_REFERRING_SIGNS.split())
