"""Parses JSON as a small service would: documents come in as text, are checked, changed, sent on.

The input is made up from a fixed seed, so every run does the same.
"""

import json
import random

DOCUMENTS = 40
WORDS = "stone wall dry field cap hearting through batter course footing cheek wedge".split()


def order(draw, number):
    """One made-up order with nested lists, floats, text with escapes, and nulls."""
    return {
        "id": number,
        "customer": {
            "name": " ".join(draw.choices(WORDS, k=3)).title(),
            "mail": f"{draw.choice(WORDS)}{number}@example.org",
            "note": draw.choice([None, "caf\u00e9 \u2014 \"quoted\"", "line\nbreak", ""]),
        },
        "lines": [
            {
                "item": f"{draw.choice(WORDS)}-{draw.randrange(10_000):04}",
                "count": draw.randrange(1, 50),
                "price": round(draw.uniform(0.5, 900.0), 2),
                "tags": draw.sample(WORDS, draw.randrange(0, 4)),
            }
            for _ in range(draw.randrange(1, 9))
        ],
    }


def main():
    draw = random.Random(20)
    inbox = [
        json.dumps([order(draw, number * 100 + k) for k in range(draw.randrange(2, 12))])
        for number in range(DOCUMENTS)
    ]
    totals = {}
    for text in inbox:
        document = json.loads(text)
        for entry in document:
            for line in entry["lines"]:
                kind = line["item"].split("-")[0]
                totals[kind] = totals.get(kind, 0.0) + line["count"] * line["price"]
            entry["total"] = sum(line["count"] * line["price"] for line in entry["lines"])
        reply = json.dumps(document, indent=1, sort_keys=True)
        assert json.loads(reply) == document
    for kind in sorted(totals):
        print(f"{kind:10} {totals[kind]:14.2f}")


main()
