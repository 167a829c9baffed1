"""Follow-up questions, written by hand, to questions of the SQuAD sample: what was asked, then what is asked.

The question that opens a conversation, and the context that answers the last one, are named by the ids of
questions in the sample. Without what was said before, a follow-up says too little to be found.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FollowUp:
    """`text` comes after the question `after`; its answer is in the context of the question `found_with`."""

    after: str
    found_with: str
    text: str


FOLLOW_UPS = (
    FollowUp("572f58d9a23a5019007fc581", "572fe53104bcaa1900d76e6d", "And what may happen to it in the end?"),
    FollowUp(
        "572ff890a23a5019007fcbce",
        "572ff890a23a5019007fcbce",
        "And at how many places does the main one end today?",
    ),
    FollowUp(
        "57097051ed30961900e84134", "57097b50200fba1400368050", "How many homes could it reach in 2010?"
    ),
    FollowUp(
        "57097b50200fba1400368050",
        "57096f37200fba1400367fe6",
        "What do others pay to be in their guide?",
    ),
    FollowUp(
        "57096f37200fba1400367fe6",
        "57094b4f9928a814004714fa",
        "Which of theirs were to be had free before 2005?",
    ),
    FollowUp("57096f37200fba1400367fe6", "57097051ed30961900e84134", "When did they go digital?"),
    FollowUp("5733647e4776f419006609b1", "57332e48d058e614000b5765", "When did it begin?"),
    FollowUp(
        "57332e48d058e614000b5765",
        "5733647e4776f419006609b1",
        "And what stands there for the children who took part?",
    ),
    FollowUp(
        "57332e48d058e614000b5765",
        "57337ddc4776f41900660bbe",
        "How green is that city?",
    ),
    FollowUp("571c3e8cdd7acb1400e4c0a6", "571c3e8cdd7acb1400e4c0a6", "Who refined this work?"),
    FollowUp("571cd5b1dd7acb1400e4c17c", "571cd5b1dd7acb1400e4c17c", "What does it spare the heart?"),
    FollowUp("571a50df4faf5e1900b8a960", "571a50df4faf5e1900b8a960", "What else is dangerous in that way?"),
    FollowUp("572a005f1d046914007796bb", "572a0b101d046914007796ea", "How dry was it there in 2005?"),
    FollowUp(
        "572a0b101d046914007796ea",
        "572a005f1d046914007796bb",
        "Whose needs are said to justify roads through it?",
    ),
    FollowUp(
        "57109180a58dae1900cd6a43",
        "57109180a58dae1900cd6a43",
        "And where does the other street get its name?",
    ),
    FollowUp(
        "5710e9f8a58dae1900cd6b32", "57109180a58dae1900cd6a43", "In which Irish cities did they hold office?"
    ),
    FollowUp("572815d9ff5b5019007d9cbe", "572827fc3acd2414000df5be", "How many people live together there?"),
    FollowUp(
        "57274712708984140094dbae", "572746addd62a815002e9a5f", "May they choose their pupils themselves?"
    ),
    FollowUp("572746addd62a815002e9a5f", "572746addd62a815002e9a5f", "Who runs the schools that give it?"),
    FollowUp(
        "572996c73f37b319004784b4", "572996c73f37b319004784b4", "How large are the numbers that it uses?"
    ),
    FollowUp(
        "5726249538643c19005ad080", "5726378238643c19005ad313", "Who in Britain had the same idea on his own?"
    ),
    FollowUp(
        "5726378238643c19005ad313",
        "5726249538643c19005ad080",
        "In which reports did the first one describe it?",
    ),
    FollowUp("572881d34b864d1900164a5a", "572881d34b864d1900164a5a", "Who founded an office for it?"),
    FollowUp("572885c44b864d1900164a7b", "572885c44b864d1900164a7b", "Which region was governed from there?"),
    FollowUp("5705eee952bb8914006896e2", "5706094b52bb8914006897df", "What does its south live on?"),
    FollowUp(
        "5706094b52bb8914006897df",
        "5705eee952bb8914006896e2",
        "Where was its border in the north to be?",
    ),
    FollowUp(
        "570d30fdfed7b91900d45ce7",
        "570d30fdfed7b91900d45ce7",
        "And what is usual there?",
    ),
    FollowUp("570d4e6cb3d812140066d66e", "570d4e6cb3d812140066d66e", "Who is it at present?"),
    FollowUp("572a0ecb1d0469140077971a", "572a0ecb1d0469140077971a", "What else does it do?"),
    FollowUp("5729e02f1d04691400779639", "5729e02f1d04691400779639", "How does that change inequality?"),
    FollowUp("56dde27d9a695914005b9651", "56dde27d9a695914005b9651", "And what did they come to speak?"),
    FollowUp("57302efe04bcaa1900d772f6", "57302efe04bcaa1900d772f6", "Where is it banned?"),
    FollowUp(
        "5727c3b02ca10214002d95bb", "5727c3b02ca10214002d95bb", "From whom did he have those convictions?"
    ),
    FollowUp("5725fb8138643c19005acf3f", "5725fb8138643c19005acf3f", "Which one was the first on the air?"),
    FollowUp(
        "5725bbec271a42140099d0d2", "5725bbec271a42140099d0d2", "And what if they have not transposed it?"
    ),
    FollowUp("5726db5add62a815002e92d4", "5726db5add62a815002e92d4", "Who wrote five volumes on that?"),
    FollowUp("572a06af3f37b3190047866a", "572a06af3f37b3190047866a", "What else serves that purpose?"),
)

NEW_TOPICS = (
    ("572f58d9a23a5019007fc581", "57097051ed30961900e84134"),
    ("57332e48d058e614000b5765", "571a50df4faf5e1900b8a960"),
    ("5726249538643c19005ad080", "572a005f1d046914007796bb"),
    ("57302efe04bcaa1900d772f6", "570d4e6cb3d812140066d66e"),
    ("572881d34b864d1900164a5a", "5725fb8138643c19005acf3f"),
    ("5727c3b02ca10214002d95bb", "57337ddc4776f41900660bbe"),
    ("5710e9f8a58dae1900cd6b32", "572996c73f37b319004784b4"),
    ("572827fc3acd2414000df5be", "56e16182e3433e1400422e29"),
    ("571c3e8cdd7acb1400e4c0a6", "57274712708984140094dbae"),
    ("5706094b52bb8914006897df", "572a06af3f37b3190047866a"),
)
"""A question that opens a conversation, and one on something else that comes after it: nothing to rewrite."""
