"""Tells what kind of event a text speaks of: "built in 1967" does not say when it broke. Pure."""

from __future__ import annotations

import re

_EVENTS = tuple(
    re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    for words in (
        r"build(?:s|ing)?|built|construct\w*|erect\w*|found(?:ed|ing)?|establish\w*|creat\w*|made|design\w*|start\w*|beg[aiu]n\w*|"
        r"open(?:ed|s|ing)?|inaugurat\w*|launch\w*|introduc\w*|install\w*|complet\w*",
        r"br[eo]\w?ke?n?|breaks?|collaps\w*|burst\w*|burn\w*|destroy\w*|demolish\w*|sank|sunk|sink\w*|fail\w*|wreck\w*|torn\s+down",
        r"clos(?:e|es|ed|ing|ure)|shut\w*|end(?:s|ed|ing)?|abandon\w*|dissolv\w*|abolish\w*|discontinu\w*|ceas\w*",
        r"renovat\w*|restor\w*|repair\w*|electrif\w*|enlarg\w*|extend\w*|rebuil\w*|widen\w*|moderni[sz]\w*|repaint\w*|mov(?:e|ed|es)",
        r"born|birth",
        r"d(?:ie|ies|ied)|death|killed|drowned|buried|perish\w*",
        r"marr(?:y|ies|ied)|wedding",
        r"wr[io]te\w*|written|author\w*|compos\w*",
        r"translat\w*",
        r"illustrat\w*",
        r"publish\w*|print\w*|edited|edits?|edition",
        r"s[eo]ld?s?|sells?|auction\w*",
        r"bought|buys?|purchas\w*|acquir\w*",
        r"paid|pays?|financ\w*|donat\w*|fund(?:s|ed|ing)?|sponsor\w*",
        r"w[io]n(?:s|ning)?|victor\w*|beat(?:s|en)?",
        r"los(?:e|es|t|ing)|defeat\w*",
        r"refus\w*|declin\w*|reject\w*|resign\w*",
        r"arriv\w*",
        r"le(?:ft|aves?|aving)|depart\w*",
        r"discover\w*|invent\w*",
        r"surviv\w*|escap\w*|remain\w*",
        r"paint\w*|dr[ea]wn?|portray\w*",
        r"sat|sits?|pos(?:e|ed|es)",
        r"watch(?:es|ed)?|attend\w*|visit\w*|saw",
    )
)
_IRREGULAR = {
    form: verb
    for line in """
    break broke broken;build built;begin began begun;bring brought;buy bought;catch caught;choose chose
    chosen;come came; draw drew drawn;drive drove driven;eat ate eaten;fall fell fallen;find found;fly
    flew flown;get got;give gave given;go went gone; grow grew grown;hold held;keep kept;know knew
    known;lead led;leave left;lose lost;make made;meet met;pay paid;ring rang rung; rise rose risen;run
    ran;say said;see saw seen;sell sold;send sent;sing sang sung;sink sank sunk;speak spoke spoken;spend
    spent; stand stood;steal stole stolen;swim swam swum;take took taken;teach taught;tell told;think
    thought;win won;write wrote written;die died dies;freeze froze frozen;burn burnt;live lived
    """.split(";")  # noqa: SIM905 - a table
    for verb, *forms in (line.split(),)
    for form in (verb, *forms)
}


def unify_verbs(words: frozenset[str]) -> frozenset[str]:
    """Write the forms of irregular verbs in one way: "broke" as "break"."""
    return frozenset(_IRREGULAR.get(word, word) for word in words)


def speaks_of_another_event(clause: str, question: str) -> bool:
    """Tell whether a clause names an event, and not the one kind of event that a question asks for."""
    asked = [event for event in _EVENTS if event.search(question)]
    return (
        len(asked) == 1 and asked[0].search(clause) is None and any(event.search(clause) for event in _EVENTS)
    )
