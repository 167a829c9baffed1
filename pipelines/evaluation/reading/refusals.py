"""Tells whether an answer declines to answer, by patterns of phrases in a dozen languages.

A pattern, not an understanding: what a refusal speaks of (the sources, the answer, oneself) is what tells it
from a fact with a negation, "Milk does not contain gluten".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.citations import strip_markers
from pipelines.evaluation.reading.foreign import FOREIGN_PHRASES, FOREIGN_WHOLE
from pipelines.evaluation.reading.phrases import states_reference
from pipelines.evaluation.reading.text import (
    find_announced_answer,
    find_last_line,
    find_stated_answer,
    normalise,
    read_final_text,
)
from pipelines.sentences import content_words, sentences

_SOURCE = (
    r"(?:passages?|documents?|texts?|contexts?|sources?|authors?|articles?|paragraphs?|excerpts?|section|story|"
    r"materials?|information|question|problem|data|log|records?|chapter|book|it|they|which|this|that)"
)
_SAY = (
    r"(?:contain|mention|provide|state|specif|include|say|said|give|tell|told|answer|discuss|indicat|nam|describ|"
    r"disclos|cover|address|explain|identif|list|reveal|clarif|offer|cite|note|report|support)(?:\w*)"
)
_ADVERBS = r"(?:(?:\w+ly|even|ever|actually|any|also)\s+)*"
_DOES_NOT = rf"(?:do(?:es)?|did|could)\s*(?:not|n'?t)\s+{_ADVERBS}"
_IS_NOT = rf"(?:is|are|was|were|be|been)\s*(?:not|n'?t)\s+{_ADVERBS}"
_CANNOT = r"(?:can(?:no|')?t|can\s+not|could\s+not|couldn'?t)"
_IN_SOURCE = (
    r"(?:in|by|from)\s+(?:(?:any|the|these|this|that|your|given|provided)\s+)*(?:texts?|passages?|contexts?|documents?|"
    r"sources?|articles?|excerpts?|materials?|information)"
)
_PLACE = rf"(?:\s*[.,;:!\"']|\s*$|\s+(?:{_IN_SOURCE}|wh\w+|how|if|here|there|anywhere)\b)"
_PATTERNS = (
    # I do not know
    r"\b(?:i|we)\s+(?:(?:really|honestly)\s+)?(?:do\s+not|don'?t)\s+(?:(?:really|actually)\s+)?know\b",
    r"\b(?:i|we)(?:\s+am|'m|\s+are|'re|\s+was|\s+were)\s+(?:not\s+(?:sure|able|certain|told|aware)|unable|sorry|afraid)\b",
    r"\bwe\s+aren'?t\s+told\b",
    rf"\b(?:i|we)\s+{_CANNOT}\s+(?:\w+\s+)?(?:answer|determine|tell|say|find|calculate|provide|know|help|confirm|"
    r"identify|locate|see\s+(?:an?|the)\s+answer)\b",
    r"\b(?:i|we)\s+(?:must|have\s+to|will)\s+decline\b|\b(?:i|we)\s+found\s+(?:no|nothing)\b",
    r"\b(?:i|we)\s+(?:do\s+not|don'?t)\s+have\s+(?:\w+\s+){0,3}(?:information|access|data|answer|details?|context)\b",
    r"\b(?:i|we)\s+have\s+no\s+(?:idea|information|way|data|clue)\b|^\W*no\s+(?:idea|clue)\b",
    r"\byour\s+guess\s+is\s+as\s+good\b|\bhard\s+to\s+say\b|^\W*(?:nobody|no\s+one)\s+(?:knows|can\s+(?:say|tell))\b",
    rf"^\W*{_CANNOT}\s+(?:be\s+)?(?:say|tell|determin|answer|know|find)\w*",
    r"\b(?:i|we)\b[^.]*\bfound\s+(?:none|nothing|no\b)|\b(?:i|we)\s+(?:could|can|did)(?:\s*n[o']t|not)\s+(?:find|see|spot|locate|make\s+out)\b",
    r"\b(?:i|we)(?:'d|\s+would|\s+will|'ll)?\s+need\s+(?:more|further|additional|another|other)\b|\bmore\s+(?:information|context|details?|data)\s+"
    r"(?:is|are|would\s+be)\s+(?:needed|required|necessary)\b",
    r"\bthat\s+(?:i|we)\s+(?:do\s+not|don'?t)\s+have\b|\b(?:i|we)\s+(?:do\s+not|don'?t)\s+have\s+(?:that|this|it|enough|what)\b",
    r"\b(?:i|we)(?:'d|\s+would)\s+(?:only\s+|just\s+|merely\s+)?(?:be\s+(?:guess|speculat)ing|have\s+to\s+(?:guess|speculate))|"
    r"\b(?:i|we)\s+(?:will\s+not|won'?t|would\s+rather\s+not|refuse\s+to|prefer\s+not\s+to)\s+(?:guess|speculate|say|answer|make)\b|"
    r"\b(?:i|we)'d\s+rather\s+not\s+(?:guess|speculate|say)\b|\bany(?:thing\s+i\s+said|\s+(?:answer|figure|number|name))\s+would\s+be\s+a\s+guess\b",
    r"^\W*(?:beats\s+me|no\s+comment|pass|dunno|i\s+dunno|who\s+knows|your\s+guess)\W*$|\b(?:i|we)\s+(?:lack|have\s+nothing)\b",
    # nothing can be known
    rf"\b(?:{_CANNOT}|impossible\s+to|unable\s+to|no\s+way\s+(?:to|of))\s+(?:be\s+)?"
    r"(?:determin|answer|calculat|know|infer|deduc|solv|establish|tell|say|conclud)\w*",
    rf"\b(?:answer|information|this|that|it|name|reason|date)\s+{_CANNOT}\s+be\s+(?:found|given|located)\b",
    r"\bunanswerable\b|\b(?:is|are|remains?|'s)\s+(?:undetermined|indeterminate|unknown|unclear|unidentified|"
    r"undisclosed|unspecified|uncertain)\b",
    # the sources do not say
    rf"\b(?!(?:it|they|which|this|that)\s){_SOURCE}\s+(?:\w+\s+){{0,2}}?{_DOES_NOT}{_SAY}",
    rf"\b(?:it|they|which|this|that)\s+{_DOES_NOT}(?:mention|state|specif|say|tell|disclos|indicat|discuss|address|explain|"
    r"reveal|answer)\w*",
    rf"\b{_SOURCE}\s+(?:(?:above|provided|given)\s+)?(?:never|nowhere|only)\s+(?:explicitly\s+)?{_SAY}(?<!only\ssays)",
    rf"(?:^|\b(?:but|and|,))\s*(?:\w+\s+)?{_DOES_NOT}(?:mention|state|specif|say|tell|disclos|indicat)\w*\s*(?:$|[.,;]|wh\w+|how|if|who|the\b|that\b|any)",
    rf"\b{_SOURCE}\s+(?:\w+\s+)?(?:fails?\s+to|omits?|lacks?|leaves?\s+(?:that|this|it)|says?\s+nothing|say\s+nothing|"
    r"(?:is|are)\s+(?:silent|about\s+other))",
    r"\b(?:none|neither|nothing)\s+(?:of|in)\s+(?:the|these|those)\s+(?:given\s+|provided\s+)?(?:passages?|documents?|sources?|texts?|context)\b",
    r"\b(?:neither|no)\s+(?:relevant\s+)?(?:passage|document|source|text)\s+(?:was|says|mentions|states|names|gives|holds|tells|describes)\b",
    r"\bnothing\s+(?:about|on|that\s+answers|is\s+(?:said|stated|known))\b|\bpassages?\s+do(?:es)?n'?t\s*[.,]",
    r"\bonly\s+(?:describe|say|tell|mention|cover)s?\b[^.]*,\s*not\b",
    rf"\b{_SOURCE}\s+(?:\w+\s+)?{_SAY}[^.]*(?:\bbut\s+(?:no|not)\b|,\s+not\s+(?:how|who|when|where|why|what|which)\b)",
    rf"(?:\bnot|n't)\s+(?:some|any)thing\s+(?:that\s+|which\s+)?(?:(?:the|these|this|those|your)\s+)?{_SOURCE}\b|\bnowhere\b[^.]*\b(?:stated|said|mentioned|given)\b",
    rf"\b(?:not|n't)\s+(?:to\s+be\s+)?found\s+{_IN_SOURCE}",
    rf"\b{_SOURCE}\s+(?:\w+\s+)?(?:gives?|provides?|names?|mentions?|offers?|contains?|states?|specif\w+|lists?|includes?)\s+no\b",
    r"\bremains?\s+(?:a\s+mystery|open|unanswered|unsaid)\b|\b(?:i|we)\s+(?:do\s+not|don'?t|can(?:no|')?t)\s+see\s+(?:that|this|it|any|an?\s+answer)\b",
    rf"\b(?:passages?|documents?|texts?|contexts?|sources?|articles?)\b[^.]*[;,:]\s*(?:and\s+|but\s+|yet\s+)?(?:they|it|none)\s+{_DOES_NOT}{_SAY}",
    rf"\b{_SOURCE}\s+(?:\w+\s+){{0,3}}?{_DOES_NOT}(?:go\s+into|touch\s+(?:up)?on|deal\s+with|speak\s+(?:of|about|to)|talk\s+about|"
    r"refer\s+to|allow|permit|let|help|hold|have\s+(?:any|that|this|it|an?\s+answer)|show|record|shed)\b",
    rf"\b{_SOURCE}\b[^.]*\bbut\s+(?:not|never|nothing)\s+(?:about|with|of|on|its|their|his|her|the|wh\w+|how)\b",
    r"\bleav(?:e|es|ing)\s+(?:out|open|unsaid)\b|\b(?:omit(?:s|ted)?|skips?)\s+(?:wh\w+|how|that|this)\b|\b(?:this|that|it|answer|name|detail|question|number|price|cost|date)\s+(?:is|was)\s+left\s+(?:out|open)\b",
    rf"\b(?:not|n't|no)\s+(?:an?\s+)?part\s+of\s+(?:(?:any|the|these|this|your|given|provided|what)\s+)*(?:{_SOURCE}|i\b)",
    rf"\b(?:beyond|outside)\s+(?:of\s+)?(?:(?:the\s+)?scope\b|what\b|(?:(?:the|these|your|given|provided)\s+)+{_SOURCE})",
    rf"\babsent\s+from\s+(?:(?:the|these|this|your|given|provided)\s+)*{_SOURCE}|\bgoes\s+(?:unmentioned|unstated|unsaid)\b",
    r"\b(?:is|are|was|were|left|goes|go|remains?|stays?)\s+(?:\w+ly\s+)?un(?:mentioned|stated|named|said|told|reported|recorded|answered|"
    r"documented|explained|specified|addressed|listed|covered|given)\b",
    r"\b(?:i|we|passages?|documents?|texts?)\s+(?:can\s+)?only\s+(?:find|see|have|say|know|speaks?|talks?|deals?)\b[^.]*,\s*(?:and\s+)?not\b",
    r"\b(?:is|are|was|were)\s+(?:mentioned|named|given|described|listed|known)\b[^.]*[,;]\s*(?:but\s+|and\s+)?(?:\w+\s+){1,4}(?:is|are|was|were)"
    r"(?:\s+not|n't)\W*$",
    r"\b(?:is|are|was|were|has\s+been)\s+never\s+(?:\w+ly\s+)?(?:named|mentioned|stated|given|said|told|specified|identified|disclosed|revealed|"
    r"explained|described|answered|recorded)\b",
    r"\b(?:name|date|reason|price|number|detail|details|information|answer|figure|fact|part|that|it|this)\s+(?:is|was|are|were)\s+"
    r"(?:\w+ly\s+)?(?:withheld|omitted|redacted|missing|absent|lacking)\b",
    r"\bnot\s+something\s+(?:that\s+)?(?:i|we)\s+(?:can|could|know|have)\b",
    r"\b(?:would|could|can)\s+(?:only\s+)?be\s+(?:pure\s+|mere\s+|only\s+|just\s+)?(?:speculation|speculative|guesswork|a\s+guess|guessed)\b",
    r"\bsays?\s+nothing\s+(?:of|on|about|to|as)\b|\b(?:nobody|no\s+one)\s+is\s+(?:named|mentioned|listed|given)\b",
    r"\bonly\s+(?:earlier|past|former|previous|other|later)\s+\w+\s+(?:is|are|was|were)\s+(?:listed|named|mentioned|given)\b",
    rf"\b{_SOURCE}\s+(?:names?|mentions?|lists?|gives?)\s+(?:\w+\s+){{1,3}}only\b",
    r"\bno\s+(?:\w+\s+){1,6}?(?:is|are)\s+(?:to\s+be\s+found\s+)?in\s+(?:the|these|this)\s+(?:passages?|texts?|documents?|context|sources?)\b",
    # it is not said
    r"\b(?:is|was|are|were)\s*(?:not|n'?t)\s+(?:said|told|written|spelled\s+out|reported|noted|made\s+clear|documented|on\s+record)\s*"
    r"(?:$|[.,;!]|wh\w+|how|if\b|anywhere|in\b|by\b|here)",
    r"\bnothing\b[^.;]*\b(?:is|was|are|has\s+been)\s+(?:said|mentioned|stated|given|written|reported|recorded|known|noted)\b",
    rf"\b(?:answer|question|this|that|it)\s+{_CANNOT}\s+be\s+(?:resolved|settled|decided|confirmed|verified|ascertained|derived|worked\s+out|"
    r"figured\s+out|gleaned|learned|learnt|gathered|stated|read\s+off|answered)\b",
    rf"\b{_IS_NOT}(?:mention|stated|specif|indicat|disclos|answer|discuss|address|cover|explain|identified|named\s+in)\w*",
    rf"\b(?:isn'?t|aren'?t|not)\s+{_ADVERBS}(?:given|provided|known|named|available|listed|clear|described|revealed|"
    rf"recorded|reported|explicit|told\s+us|in\s+the\s+(?:text|passages?|context|documents?)){_PLACE}",
    r"^\W*not\s+(?:\w+ly\s+)?(?:mentioned|stated|specified|given|known|provided|available|answerable|disclosed|clear|"
    r"enough|sufficient|applicable|sure|in\s+the)\b",
    r"\bnot\s+(?:enough|sufficient|mentioned|stated|specified|answerable)\b(?!\s+(?:money|time|food|water|room|space))",
    r"\b(?:insufficient|missing|(?:not|isn'?t|aren'?t)\s+enough)\s+(?:\w+\s+)?(?:information|data|context|details?|premises?|evidence)\b",
    r"\bno\s+(?:(?:relevant|specific|such|further|clear|definite|additional)\s+)?(?:information|mention|answer|data|"
    r"evidence|indication|details?|reference|way\s+(?:to|of)\s+(?:know|tell)\w*)\b",
    r"\bno\s+(?:\w+\s+){1,5}?(?:is|are|was|were)\s+(?:mentioned|named|given|stated|specified|provided|identified)\b",
    r"\b(?:information|question|problem|premise|detail)\s+is\s+(?:missing|incomplete|lacking|not)\b",
    r"\bnot\s+clear\b|\b(?:it|that|this)(?:'s|\s+is|\s+remains)\s+(?:not\s+clear|unclear|unknown)\b",
)
_DECLINES = re.compile(
    "|".join(f"(?:{pattern})" for pattern in (*_PATTERNS, *FOREIGN_PHRASES)), re.IGNORECASE
)
_WHOLE = re.compile(
    r"(?:(?:it|that|this|the\s+answer)(?:'s|\s+is)\s+)?(?:\w+ly\s+)?(?:unknown|unclear|undetermined|undisclosed|"
    r"unspecified|unidentified|unanswerable|uncertain|indeterminate|n\.?\s*/?\s*a|not\s+(?:\w+ly\s+)?(?:applicable|known|"
    r"given|stated|mentioned|specified|provided|available|disclosed|clear|sure|found|named|answered)|"
    r"no\s+(?:answer|idea|info|information|details?|data|clue|mention|evidence)(?:\s+(?:given|available|provided|found))?|none\s+(?:given|stated|"
    rf"mentioned|provided|named)|no\s+one\s+knows|{'|'.join(FOREIGN_WHOLE)})",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"none|nothing|null|nil", re.IGNORECASE)
_YET = re.compile(
    r"\b(?:but|however|nevertheless|yet|although|though|still)\b(.*)", re.IGNORECASE | re.DOTALL
)
_GUESSES = re.compile(
    r"\b(?:probably|presumably|most\s+likely|likely|perhaps|i\s+(?:think|believe|guess|suppose|assume|would\s+say)|"
    r"i'd\s+(?:say|guess)|(?:it|he|she|that|this)\s+(?:may|might|could)\s+(?:well\s+)?be(?!\s+(?:un|in)?(?:known|clear|stated|found))|must\s+have\s+been|my\s+(?:best\s+)?guess)\b",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"(?:=|\b(?:therefore|thus|hence|so|equals)\b).*\d|\b(?:follows|inferred|deduced|concluded|implies|suggests)\b.*\w",
    re.IGNORECASE,
)
_STATES = re.compile(r"\b(?:is|are|was|were|gives|makes|takes|costs|lasts|needs)\b.*\d", re.IGNORECASE)
_CONCEDES = re.compile(
    r"\w+\W+\w+\W+\w+.*\b(?:al)?though\b|.*\w.*,\s*(?:which|who|whose(?:\s+\w+)?|(?:about|of|from)\s+(?:whom|which))\s*$",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(r"\b(?:i|we)\b", re.IGNORECASE)
_NEGATIVE = re.compile(r"\b(?:not?|never|nothing|unknown|unclear)\b|n't\b", re.IGNORECASE)
_LABEL = re.compile(r"^\s*(?:final\s+)?answer\s*:", re.IGNORECASE | re.MULTILINE)
_ASKS = ("who", "what", "when", "where", "why", "how", "which")
_SPEAKS_OF_SOURCES = re.compile(
    rf"\b(?:{_SOURCE[3:-1]}|i|we|mention\w*|discuss\w*|described?|information)\b|\?", re.IGNORECASE
)
_PARTS = re.compile(
    r"(?<=[.!?])\s+|;\s*|,\s*(?:and|but|although|though|yet|whose|which|(?:about|of)\s+whom)\s+|\s+but\s+"
)
_EDGES = " \t\n.!?:;,\"'\u201c\u201d*_()[]"


def abstains(answer: str, *, nothing_declines: bool = False) -> bool:
    """Tell whether the answer declines: it is empty, or its answer line, its first or its last sentence says
    that nothing is known.

    A refusal in unusual words is taken for an answer. A sentence that declines in passing and then answers
    all the same ("... is not stated, but the answer is 5", "... but it was probably Ann") is an answer. The
    run's own wording, echoed, is not read.

    Args:
        answer: The answer's text.
        nothing_declines: Whether "none" alone declines. It does where a name or a place is asked for, not
            where an amount is.
    """
    text = strip_markers(read_final_text(answer).replace("\u2019", "'")).strip()
    if not text:
        return True
    line = find_last_line(text)
    if line is not None:
        return _declines_shortly(line, nothing_declines) or _declines_in_sentences(line)
    return _declines_shortly(text, nothing_declines) or _declines_in_sentences(text)


def says_anything(answer: str) -> bool:
    """Tell whether an answer says more than "Answer:" and citation marks."""
    return _LABEL.sub("", strip_markers(read_final_text(answer))).strip(_EDGES) != ""


def quotes_negative_reference(answer: str, references: Sequence[str]) -> bool:
    """Tell whether an answer gives a reference that itself sounds like declining, or nothing but a
    reference."""
    line = f" {normalise(find_stated_answer(answer))} "
    known = [(reference, f" {normalise(reference)} ") for reference in references]
    return any(
        words.strip()
        and (words == line or (words.strip().count(" ") and words in line and _NEGATIVE.search(reference)))
        for reference, words in known
    )


def answers_beside_declining(answer: str, references: Sequence[str], question: str) -> bool:
    """Tell whether an answer gives a reference, and declines only what was not asked.

    "Ann signed it. I could not find the date." says who signed it. Without a reference it counts that
    the answer says something new in a question's own words, and not about its sources.
    """
    wanted = content_words(question)
    asks = {word for word in _ASKS if re.search(rf"\b{word}\b", question, re.IGNORECASE)}
    kept = []
    for clause in _PARTS.split(strip_markers(find_stated_answer(answer))):
        if _DECLINES.search(clause) is None:
            kept.append(clause)
        elif content_words(clause) & wanted or any(
            re.search(rf"\b{word}\b", clause, re.IGNORECASE) for word in asks
        ):
            return False
    if not references:
        # "The dog is called Rex; its age is not stated"
        told = content_words(" ".join(kept)) if not _SPEAKS_OF_SOURCES.search(" ".join(kept)) else frozenset()
        return bool(kept) and bool(told & wanted) and bool(told - wanted)
    return bool(kept) and states_reference(". ".join(kept), references, question) == 1.0


def _declines_shortly(text: str, nothing_declines: bool) -> bool:
    bare = text.strip(_EDGES)
    return _WHOLE.fullmatch(bare) is not None or (nothing_declines and _NOTHING.fullmatch(bare) is not None)


def _declines_in_sentences(text: str) -> bool:
    texts = [sentence.text for sentence in sentences(text)]
    if not texts or not (_declines(texts[0]) or _declines(texts[-1])):
        return False
    if any(_GUESSES.search(sentence) and not _declines_after_guess(sentence) for sentence in texts):
        return False
    # who says "I don't know" and goes on to describe the passages has not answered
    firmly = _declines(texts[0]) and _FIRST_PERSON.search(texts[0]) is not None
    return not _supplies_answer(texts[-1], firmly=firmly)


def _declines(sentence: str) -> bool:
    found = _DECLINES.search(sentence)
    if found is None or sentence.rstrip().endswith("?"):
        return False
    # "It takes 45 minutes, although this is not stated" answers
    return _CONCEDES.match(sentence[: found.start()]) is None


def _declines_after_guess(sentence: str) -> bool:
    """Tell whether a sentence says after its guess that nothing is known, or guesses at nothing."""
    guess = _GUESSES.search(sentence)
    declined = None if guess is None else _DECLINES.search(sentence, guess.end())
    if guess is None or declined is None:
        return False
    guessed = sentence[guess.end() : declined.start()]
    return re.search(r"[;,.\u2014-]\s", guessed) is None or re.search(r"\d|\s[A-Z][a-z]", guessed) is None


def _supplies_answer(sentence: str, *, firmly: bool) -> bool:
    """Tell whether a sentence supplies an answer; where it declines first, after a "but"."""
    found = _DECLINES.search(sentence)
    if found is not None:
        turn = _YET.search(sentence, found.end())
        if turn is None:
            return False
        sentence = turn.group(1)
    if find_announced_answer(sentence) is not None or _CONCLUDES.search(sentence) is not None:
        return True
    return not firmly and _STATES.search(sentence) is not None
