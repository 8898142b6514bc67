"""Made-up text for the model in the box: records, schemas, tool calls, agent traces, sentences.

Idea: a document is drawn by a small function from word lists that stand in this file; a weighted table of such
functions is the corpus. What the model must learn is *form* (after a key comes a colon, strings end soon, brackets
match), so keys are as varied as can be: half of all records have keys put together at random, some of invented words,
so that a key never seen before still leads to a short value and a closed string. Lists of three are the most common by
far, so that greedy decoding, which only ever does what is most likely, ends them too; and many words have a value that
goes with them, or its most likely text would always be the same.

Invariants: `documents(seed)` is an endless, deterministic stream; every JSON text in it is what `json.dumps` writes in
one of four layouts, or that with white space strewn in; no document comes from anywhere but this file. Cost: about
50 us a document of 195 characters.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any


def _words(text: str) -> list[str]:
    return text.split()


FIRST = _words(
    """
    Ada Alan Alice Amir Ana Anders Anna Aisha Ben Bruno Carla Carlos Chen Clara Daniel Dana David Diego Elena
    Emil Emma Eva Farid Felix Fatima Grace Hana Hugo Ida Ines Ivan Jack Jana Jin Jonas Julia Karim Kate Kenji
    Lara Leo Lena Liam Lucia Maja Marco Maria Max Mei Mia Milan Mina Nadia Nina Noah Nora Olga Oscar Otto Paula
    Pedro Petra Priya Rafael Ravi Rosa Ruth Sam Sara Sofia Stefan Tara Theo Tom Uma Vera Victor Wei Yara Yuki
    Zoe
    """
)
LAST = _words(
    """
    Adams Ali Andersen Baker Bauer Becker Brown Carter Castro Chen Clark Costa Cruz Davis Diaz Dubois Evans
    Fischer Ford Garcia Gomez Green Hall Hansen Hill Ito Jansen Jones Kaur Keller Khan Kim King Klein Kovac
    Kumar Lang Larsen Lee Lewis Lopez Martin Meyer Miller Moore Mori Murphy Nagy Ng Novak Okafor Olsen Ortiz
    Park Patel Perez Petrov Reed Rossi Roy Ruiz Sato Schmidt Scott Shah Silva Singh Smith Stone Tanaka Taylor
    Torres Turner Vogel Walker Wang Weber White Wilson Wood Wright Young
    """
)
CITIES = _words(
    """
    Amsterdam Athens Austin Berlin Bogota Boston Cairo Chicago Dakar Delhi Denver Dublin Geneva Hamburg Hanoi
    Helsinki Istanbul Jakarta Kyoto Lagos Lima Lisbon London Lyon Madrid Manila Milan Montreal Mumbai Munich
    Nairobi Naples Oslo Osaka Paris Porto Prague Quito Riga Rome Seattle Seoul Sofia Stockholm Sydney Tokyo
    Toronto Tunis Turin Vienna Warsaw Zurich
    """
)
COUNTRIES = _words(
    """
    Argentina Australia Austria Brazil Canada Chile China Colombia Denmark Egypt Finland France Germany Ghana
    Greece India Indonesia Ireland Italy Japan Kenya Mexico Morocco Nigeria Norway Peru Poland Portugal Spain
    Sweden Turkey Vietnam
    """
)
NOUNS = _words(
    """
    account address agent alarm album animal answer apple area article author badge bag balance bank basket
    battery bike bird blog board boat body bolt book bottle box branch bread bridge brush bucket budget bug
    building bus button cable camera car card cart case cat chair channel chapter city class client clock cloud
    coat code coffee color comment company computer contact contract cookie copy corner cost country course
    cover cup customer cycle data date day depth desk detail device dinner dog door drawer driver duration edge
    email engine entry error event farm field file film filter fish flag flight floor flow flower folder font
    forest form frame friend fruit game garden gate glass goal grade grid group guest guide hand hat heart
    height history home horse hotel hour house image index item job key kitchen label lake lamp language layer
    leaf length lesson letter level library light limit line link list location lock log lunch machine mail map
    market mask match meal member memory menu message meter method mirror mode model moon mountain mouse movie
    museum music name network night node note number object ocean offer office option orange order origin output
    owner pack page paint panel paper parent park part password path payment pen period person phone photo
    picture pilot pipe place plan planet plant plate player point policy pool port post price printer prize
    product profile project queue question quota radio rain range rate reason record region report request
    result review ring river road robot role roof room root route row rule sample scale school score screen sea
    season seat section sensor server service session shape sheet shelf ship shirt shoe shop signal size sky
    snow song source space speed spoon spring stage star start state station status step stock stone store storm
    story street student subject sugar summer sun symbol table tag target task team test text theme ticket time
    title token tool topic total tower town track train tree trip truck type unit user value vendor version
    video view village voice volume wall watch water wave week weight wheel width wind window winter word work
    world year zone
    """
)
ADJECTIVES = _words(
    """
    active basic big black blue bold brave brief bright broken busy calm clean clear clever cold common cool
    cross daily dark deep digital dry early easy empty fair fast final fine first flat free fresh full gentle
    global gold good gray great green happy hard heavy hidden high hot huge inner large last late light little
    local long loud low lucky main modern narrow new nice old open orange outer pale plain private proud public
    pure quick quiet rapid rare raw ready real red rich round safe sharp short silent silver simple slow small
    smart smooth soft solid special steady strong sunny sweet tall thin tiny warm weak white wide wild wise
    wooden yellow young
    """
)
VERBS = _words(
    """
    add allow apply ask block book bring build buy call carry check choose clean close compare copy count create
    cut deliver draw drive drop enable fetch fill find finish fix fly follow get give grow help hide hold import
    join keep learn leave lift list load lock look make mark measure meet merge move need open order paint parse
    pay plan play post press print pull push read receive record remove rename repair report reset return ride
    run save search sell send set share show sing sort start stop store study swim teach test track train travel
    turn update use visit wait walk wash watch write
    """
)
PAST = _words(
    """
    added asked bought built carried checked cleaned closed counted created delivered drew found finished fixed
    followed helped joined kept left loaded lost made measured met moved needed opened ordered painted paid
    planned played repaired reported saved saw sent shared showed sold started stopped tested visited washed
    watched wrote
    """
)
FOODS = _words(
    """
    apples beans bread butter carrots cheese coffee corn eggs flour grapes honey lemons milk noodles olives
    onions oranges pasta pears peppers rice salad salt soup sugar tea tomatoes
    """
)
COLORS = _words("red green blue yellow black white orange purple pink brown gray silver gold")
JOBS = _words(
    """
    engineer teacher doctor nurse writer painter farmer pilot lawyer chef designer driver manager student
    scientist actor baker librarian carpenter musician
    """
)
HOBBIES = _words(
    """
    reading hiking cooking chess painting cycling swimming photography gardening running music dancing fishing
    sailing climbing knitting
    """
)
SKIES = _words("sunny cloudy rainy windy snowy foggy stormy clear overcast hazy")
STATUSES = _words(
    """
    active inactive pending done open closed failed shipped paid cancelled new draft ok error running queued
    """
)
DOMAINS = _words("example.com example.org mail.test shop.example acme.test school.example")
UNITS = _words("kg g m cm km s min h C F percent USD EUR px ms MB GB")
DAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _words("January February March April May June July August September October November December")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SYLLABLES = _words(
    """
    ba be bi bo bu ca ce co cu da de di do du fa fe fi fo ga ge gi go ha he hi ho ja jo ka ke ki ko la le li lo
    lu ma me mi mo mu na ne ni no nu pa pe pi po pu qua ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo
    wa we wi xa xi ya yo za ze zo bra cla dre fli gro kra ple pri sta ste tri tro ng n r s t l m x th sh ck nd
    st
    """
)

Rng = random.Random
Maker = Callable[[Rng], Any]


# ---------------------------------------------------------------- scalars


def number(r: Rng) -> int:
    return r.choice((r.randint(0, 9), r.randint(1, 100), r.randint(1, 1000), r.randint(1000, 99999), -r.randint(1, 50)))


def decimal(r: Rng) -> float:
    return round(r.uniform(-20, 100) if r.random() < 0.5 else r.uniform(0, 1000), r.choice((1, 1, 2, 2, 3)))


def price(r: Rng) -> float:
    return r.randint(1, 300) + r.choice((0.0, 0.5, 0.99, 0.95, 0.25))


def full_name(r: Rng) -> str:
    return f"{r.choice(FIRST)} {r.choice(LAST)}"


def invented(r: Rng) -> str:
    return "".join(r.choice(SYLLABLES) for _ in range(r.randint(2, 4)))


def word(r: Rng) -> str:
    x = r.random()
    if x < 0.08:
        return invented(r)
    return r.choice(NOUNS if x < 0.6 else ADJECTIVES if x < 0.8 else VERBS)


def date(r: Rng) -> str:
    return f"{r.randint(1985, 2030)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"


def clock(r: Rng) -> str:
    return f"{r.randint(0, 23):02d}:{r.randint(0, 59):02d}"


def timestamp(r: Rng) -> str:
    return f"{date(r)}T{clock(r)}:{r.randint(0, 59):02d}" + r.choice(("Z", "Z", "+01:00", ""))


def email(r: Rng) -> str:
    first, last = r.choice(FIRST).lower(), r.choice(LAST).lower()
    return (
        r.choice((f"{first}.{last}", first, f"{first[0]}{last}", f"{first}{r.randint(1, 99)}"))
        + "@"
        + r.choice(DOMAINS)
    )


def url(r: Rng) -> str:
    tail = "/".join(word(r) for _ in range(r.randint(0, 3)))
    return f"https://{r.choice(('', 'www.', 'api.'))}{r.choice(DOMAINS)}/{tail}"


def hexadecimal(r: Rng, n: int) -> str:
    return "".join(r.choice("0123456789abcdef") for _ in range(n))


def uuid(r: Rng) -> str:
    return "-".join(hexadecimal(r, n) for n in (8, 4, 4, 4, 12))


def code(r: Rng) -> str:
    prefix = "".join(r.choice(LETTERS) for _ in range(r.randint(1, 3))).upper()
    return r.choice(
        (f"{prefix}-{r.randint(1, 9999)}", f"{prefix}{r.randint(10, 999)}", f"{r.choice(NOUNS)}-{r.randint(1, 99)}")
    )


def sentence(r: Rng) -> str:
    n, m, a, b = r.choice(NOUNS), r.choice(NOUNS), r.choice(ADJECTIVES), r.choice(ADJECTIVES)
    return r.choice(
        (
            f"The {a} {n} is {b}.",
            f"{r.choice(FIRST)} {r.choice(PAST)} the {n}.",
            f"{r.choice(FIRST)} {r.choice(PAST)} a {a} {n} in {r.choice(CITIES)}.",
            f"We {r.choice(PAST)} the {n} and the {m} on {r.choice(DAYS)}.",
            f"Please {r.choice(VERBS)} the {n}.",
            f"There are {r.randint(2, 30)} {n}s in the {m}.",
            f"The {n} {r.choice(PAST)} the {m} before {r.choice(MONTHS)}.",
            f"I need to {r.choice(VERBS)} the {a} {n}.",
            f"It is a {a} {n} with a {b} {m}.",
            f"{r.choice(FIRST)} lives in {r.choice(CITIES)} and works as a {r.choice(JOBS)}.",
            f"{r.choice(FIRST)} and {r.choice(FIRST)} like {r.choice(HOBBIES)}.",
        )
    )


def phrase(r: Rng) -> str:
    """A short string value: the heart of what must be learned is that it ends."""
    return r.choice(
        (
            lambda: word(r),
            lambda: r.choice(NOUNS),
            lambda: f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}",
            lambda: f"{r.choice(ADJECTIVES).capitalize()} {r.choice(NOUNS)}",
            lambda: f"{r.choice(NOUNS).capitalize()} {r.choice(NOUNS).capitalize()}",
            lambda: r.choice(NOUNS).capitalize(),
            lambda: f"{r.choice(VERBS)} the {r.choice(NOUNS)}",
            lambda: sentence(r),
            lambda: r.choice(FIRST),
            lambda: full_name(r),
            lambda: r.choice(CITIES),
            lambda: r.choice(COUNTRIES),
            lambda: r.choice(COLORS),
            lambda: r.choice(STATUSES),
            lambda: r.choice(FOODS),
            lambda: invented(r),
        )
    )()


def rare_string(r: Rng) -> str:
    """Formats, escapes, empties, single letters."""
    return r.choice(
        (
            lambda: date(r),
            lambda: timestamp(r),
            lambda: clock(r),
            lambda: email(r),
            lambda: url(r),
            lambda: code(r),
            lambda: hexadecimal(r, r.choice((4, 6, 8, 12))),
            lambda: uuid(r),
            lambda: f"+{r.randint(1, 99)} {r.randint(100, 999)} {r.randint(1000, 9999)}",
            lambda: ".".join(str(r.randint(0, 255)) for _ in range(4)),
            lambda: f"{r.randint(0, 9)}.{r.randint(0, 20)}.{r.randint(0, 20)}",
            lambda: f"#{hexadecimal(r, 6)}",
            lambda: f"/{word(r)}/{word(r)}.{r.choice(('txt', 'json', 'py', 'md', 'csv'))}",
            lambda: f'{phrase(r)} "{r.choice(NOUNS)}"',
            lambda: f"{sentence(r)}\n{sentence(r)}",
            lambda: f"{r.choice(NOUNS)}\t{r.choice(NOUNS)}",
            lambda: r.choice(
                ("café", "naïve", "Zürich", "São Paulo", "東京", "Ünal", "5 €", "20 °C", "ok ✓", "😀", "crème", "Łódź")
            ),
            lambda: f"the {r.choice(NOUNS)} of the {r.choice(NOUNS)}",
            lambda: "",
            lambda: r.choice(LETTERS),
            lambda: r.choice(LETTERS).upper(),
            lambda: str(number(r)),
            lambda: f"{number(r)} {r.choice(UNITS)}",
        )
    )()


def text_value(r: Rng) -> str:
    return phrase(r) if r.random() < 0.75 else rare_string(r)


def scalar(r: Rng) -> Any:
    x = r.random()
    if x < 0.5:
        return text_value(r)
    if x < 0.68:
        return number(r)
    if x < 0.8:
        return decimal(r)
    return r.random() < 0.5 if x < 0.93 else None


# ---------------------------------------------------------------- records


def length(r: Rng) -> int:
    """Of a list: from the third element on, the end is more likely than another one."""
    return r.choices((0, 1, 2, 3, 4, 5), (1, 2, 5, 7, 2, 1))[0]


def typical(name: str) -> str:
    """The value that goes with a word: the same one always."""
    r = random.Random(name)
    return r.choice(
        (
            f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}",
            f"{r.choice(ADJECTIVES).capitalize()} {r.choice(NOUNS)}",
            f"{r.choice(NOUNS).capitalize()} {r.choice(NOUNS).capitalize()}",
            r.choice(NOUNS),
            full_name(r),
            r.choice(CITIES),
            r.choice(COLORS),
            r.choice(STATUSES),
            sentence(r),
        )
    )


def key(r: Rng, words: list[str] | None = None) -> str:
    """A name put together at random, or of the words given, in one of the ways people write names."""
    words = words or [word(r) for _ in range(r.choice((1, 1, 1, 1, 2, 2, 2, 3)))]
    style = r.random()
    if style < 0.5:
        return "_".join(words)
    if style < 0.75:
        return words[0] + "".join(w.capitalize() for w in words[1:])
    if style < 0.83:
        return "-".join(words)
    if style < 0.9:
        return " ".join(words)
    if style < 0.95:
        return "".join(w.capitalize() for w in words)
    return r.choice(
        (words[0].upper(), words[0][:1], f"{words[0]}{r.randint(1, 9)}", f"{words[0]}_id", f"is_{words[0]}")
    )


def anything(r: Rng, depth: int = 0) -> Any:
    x = r.random()
    if depth >= 3 or x < 0.72:
        return scalar(r)
    if x < 0.86:
        return free_array(r, depth + 1)
    return free_object(r, depth + 1)


def free_array(r: Rng, depth: int = 0) -> list[Any]:
    n = length(r)
    make = r.choice((number, decimal, text_value, word, lambda q: q.choice(NOUNS), lambda q: q.random() < 0.5, scalar))
    if depth < 3 and r.random() < 0.25:
        names = [key(r) for _ in range(r.randint(1, 3))]
        return [{name: scalar(r) for name in names} for _ in range(min(n, 3))]
    if depth < 3 and r.random() < 0.1:
        return [[make(r) for _ in range(r.randint(1, 3))] for _ in range(min(n, 3))]
    return [make(r) for _ in range(n)]


def free_object(r: Rng, depth: int = 0) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(length(r) if depth else r.choice((1, 2, 3, 4, 5, 6, 8))):
        words = [word(r) for _ in range(r.choice((1, 1, 1, 1, 2, 2, 2, 3)))]
        value = anything(r, depth + 1)
        made[key(r, words)] = typical(words[-1]) if isinstance(value, str) and r.random() < 0.4 else value
    return made


def subset(r: Rng, fields: dict[str, Any], keep: float = 0.7) -> dict[str, Any]:
    """Some of the fields, mostly in their order, so that no record shape is learned by heart."""
    names = [n for n in fields if r.random() < keep] or [next(iter(fields))]
    if r.random() < 0.2:
        r.shuffle(names)
    return {n: fields[n] for n in names}


def address(r: Rng) -> dict[str, Any]:
    number, named, kind = (
        r.randint(1, 200),
        r.choice(NOUNS).capitalize(),
        r.choice(("Street", "Road", "Lane", "Avenue")),
    )
    return subset(
        r,
        {
            "street": f"{number} {named} {kind}",
            "city": r.choice(CITIES),
            "zip": str(r.randint(10000, 99999)),
            "country": r.choice(COUNTRIES),
        },
    )


def person(r: Rng) -> dict[str, Any]:
    first, last = r.choice(FIRST), r.choice(LAST)
    fields: dict[str, Any] = {"name": f"{first} {last}" if r.random() < 0.7 else first, "age": r.randint(1, 95)}
    if r.random() < 0.25:
        fields = {"first_name": first, "last_name": last, "age": r.randint(1, 95)}
    fields |= {
        "email": email(r),
        "city": r.choice(CITIES),
        "job": r.choice(JOBS),
        "hobbies": r.sample(HOBBIES, length(r)),
        "address": address(r),
        "phone": f"+{r.randint(1, 99)} {r.randint(100, 999)} {r.randint(1000, 9999)}",
        "married": r.random() < 0.5,
        "height": round(r.uniform(1.4, 2.0), 2),
        "birthday": date(r),
    }
    return subset(r, fields, 0.55)


def order(r: Rng) -> dict[str, Any]:
    items = [
        subset(r, {"sku": code(r), "name": r.choice(NOUNS), "quantity": r.randint(1, 9), "price": price(r)}, 0.8)
        for _ in range(r.randint(1, 3))
    ]
    return subset(
        r,
        {
            "order_id": r.choice((code(r), r.randint(1000, 9999))),
            "customer": r.choice((full_name(r), person(r))),
            "items": items,
            "total": price(r),
            "currency": r.choice(("USD", "EUR", "GBP", "JPY")),
            "status": r.choice(STATUSES),
            "date": date(r),
            "paid": r.random() < 0.5,
        },
    )


def weather(r: Rng) -> dict[str, Any]:
    forecast = [
        {"day": r.choice(DAYS), "high": r.randint(0, 35), "low": r.randint(-10, 20)} for _ in range(r.randint(1, 3))
    ]
    return subset(
        r,
        {
            "city": r.choice(CITIES),
            "temperature": r.choice((r.randint(-10, 38), round(r.uniform(-10, 38), 1))),
            "unit": r.choice(("celsius", "fahrenheit", "C", "F")),
            "conditions": r.choice(SKIES),
            "humidity": r.randint(10, 100),
            "wind": {"speed": r.randint(0, 60), "direction": r.choice(("N", "NE", "E", "SE", "S", "SW", "W", "NW"))},
            "forecast": forecast,
        },
    )


def product(r: Rng) -> dict[str, Any]:
    return subset(
        r,
        {
            "id": r.randint(1, 9999),
            "name": f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}".title(),
            "price": price(r),
            "tags": r.sample(ADJECTIVES, length(r)),
            "in_stock": r.random() < 0.6,
            "color": r.choice(COLORS),
            "size": r.choice(("S", "M", "L", "XL", r.randint(30, 48))),
            "dimensions": {"length": decimal(r), "width": decimal(r), "height": decimal(r)},
            "rating": round(r.uniform(1, 5), 1),
            "description": sentence(r),
            "category": r.choice(NOUNS),
        },
        0.55,
    )


def event(r: Rng) -> dict[str, Any]:
    about, kind = r.choice(NOUNS), r.choice(("meeting", "workshop", "party", "review", "lesson", "trip"))
    return subset(
        r,
        {
            "title": f"{about} {kind}".capitalize(),
            "date": date(r),
            "start": clock(r),
            "end": clock(r),
            "location": r.choice((r.choice(CITIES), address(r), f"Room {r.randint(1, 40)}")),
            "attendees": [r.choice(FIRST) for _ in range(length(r))],
            "description": sentence(r),
            "online": r.random() < 0.5,
            "timestamp": timestamp(r),
            "priority": r.choice(("low", "medium", "high")),
        },
        0.6,
    )


def config(r: Rng) -> dict[str, Any]:
    return subset(
        r,
        {
            "host": r.choice(("localhost", "127.0.0.1", f"{word(r)}.{r.choice(DOMAINS)}")),
            "port": r.randint(80, 65535),
            "debug": r.random() < 0.5,
            "log_level": r.choice(("debug", "info", "warning", "error")),
            "timeout": r.choice((1, 5, 10, 30, 60, 0.5, 2.5)),
            "retries": r.randint(0, 9),
            "database": subset(
                r, {"url": url(r), "user": r.choice(NOUNS), "pool": r.randint(1, 20), "ssl": r.random() < 0.5}
            ),
            "features": {key(r): r.random() < 0.5 for _ in range(length(r))},
            "paths": [f"/{word(r)}/{word(r)}" for _ in range(length(r))],
            "version": f"{r.randint(0, 9)}.{r.randint(0, 20)}.{r.randint(0, 9)}",
        },
        0.6,
    )


def tree(r: Rng, depth: int = 0) -> dict[str, Any]:
    """A recursive record: nodes, comments, folders, menus."""
    label, below = r.choice(
        (("value", "children"), ("name", "children"), ("id", "nodes"), ("label", "items"), ("title", "sub"))
    )
    if r.random() < 0.5:
        label, below = key(r), key(r)
    return _tree(r, label, below, depth)


def _tree(r: Rng, label: str, below: str, depth: int) -> dict[str, Any]:
    n = r.choice((0, 0, 1, 2) if depth else (1, 2, 2, 3)) if depth < 3 else 0
    node: dict[str, Any] = {label: number(r) if label in ("value", "id") else r.choice(NOUNS)}
    if n or r.random() < 0.8:
        node[below] = [_tree(r, label, below, depth + 1) for _ in range(n)]
    return node


def linked(r: Rng, depth: int = 0) -> dict[str, Any]:
    end = depth > 3 or r.random() < 0.3
    return {"value": number(r), "next": None if end else linked(r, depth + 1)}


def comment(r: Rng, depth: int = 0) -> dict[str, Any]:
    n = r.choice((0, 0, 1, 2)) if depth < 2 else 0
    return {"author": r.choice(FIRST), "text": sentence(r), "replies": [comment(r, depth + 1) for _ in range(n)]}


def folder(r: Rng, depth: int = 0) -> dict[str, Any]:
    if depth and r.random() < 0.6:
        return {
            "type": "file",
            "name": f"{word(r)}.{r.choice(('txt', 'py', 'md', 'json'))}",
            "size": r.randint(1, 9000),
        }
    n = r.choice((0, 1, 2, 3)) if depth < 2 else 0
    return {"type": "folder", "name": word(r), "entries": [folder(r, depth + 1) for _ in range(n)]}


def book(r: Rng) -> dict[str, Any]:
    return subset(
        r,
        {
            "title": f"The {r.choice(ADJECTIVES)} {r.choice(NOUNS)}".title(),
            "author": full_name(r),
            "year": r.randint(1900, 2026),
            "pages": r.randint(40, 900),
            "genres": r.sample(
                ("drama", "science", "poetry", "history", "fantasy", "crime", "travel"), r.randint(1, 3)
            ),
            "isbn": str(r.randint(10**12, 10**13 - 1)),
            "summary": sentence(r),
        },
    )


def step(r: Rng) -> dict[str, Any]:
    """An agent's turn, the way JSON-speaking agents write it."""
    name, arguments, _ = tool_arguments(r)
    keys = r.choice(
        (("thought", "action", "action_input"), ("reasoning", "tool", "arguments"), ("thought", "tool", "input"))
    )
    fields = dict(zip(keys, (thought(r, name), name, arguments), strict=True))
    return fields if r.random() < 0.8 else {"thought": thought(r, name), "answer": phrase(r)}


def sums(r: Rng) -> dict[str, Any]:
    a, b = r.randint(1, 50), r.randint(1, 50)
    name, result = r.choice((("sum", a + b), ("product", a * b), ("difference", a - b)))
    return {"a": a, "b": b, name: result} if r.random() < 0.6 else {"expression": f"{a} + {b}", "result": a + b}


def judgement(r: Rng) -> dict[str, Any]:
    return subset(
        r,
        {
            "sentiment": r.choice(("positive", "negative", "neutral")),
            "label": r.choice(NOUNS),
            "score": round(r.random(), 2),
            "confidence": round(r.random(), r.choice((1, 2, 3))),
            "reasoning": f"{sentence(r)} {sentence(r)}",
            "answer": r.choice((r.choice(("yes", "no", "A", "B", "C", "D")), number(r), phrase(r))),
        },
    )


def recipe(r: Rng) -> dict[str, Any]:
    return subset(
        r,
        {
            "name": f"{r.choice(ADJECTIVES)} {r.choice(FOODS)}".capitalize(),
            "ingredients": [
                r.choice((r.choice(FOODS), f"{r.randint(1, 500)} g {r.choice(FOODS)}"))
                for _ in range(max(1, length(r)))
            ],
            "steps": [f"{r.choice(VERBS).capitalize()} the {r.choice(FOODS)}." for _ in range(max(1, length(r)))],
            "minutes": r.randint(5, 120),
            "servings": r.randint(1, 8),
        },
        0.8,
    )


RECORDS: list[tuple[str, Maker]] = [
    ("person", person),
    ("user", person),
    ("customer order", order),
    ("weather report", weather),
    ("product", product),
    ("event", event),
    ("configuration", config),
    ("tree", tree),
    ("linked list", linked),
    ("comment", comment),
    ("folder", folder),
    ("book", book),
    ("review", judgement),
    ("recipe", recipe),
    ("step", step),
    ("calculation", sums),
    ("address", address),
]
LAYOUTS: list[dict[str, Any]] = [{}, {"separators": (",", ":")}, {"indent": 2}, {"indent": 4}]
BETWEEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]')


def dump(r: Rng, value: Any) -> str:
    r"""JSON in one of the layouts; no `\u`, or a model that does not like a key would spell it so."""
    text = json.dumps(value, ensure_ascii=False, **r.choices(LAYOUTS, (9, 3, 4, 1))[0])
    return messy(r, text) if r.random() < 0.12 else text


def plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def messy(r: Rng, text: str) -> str:
    """White space where nobody writes it, and the text going on after it."""
    often = r.choice((0.05, 0.15, 0.4))

    def blank() -> str:
        if r.random() > often:
            return ""
        return "".join(
            r.choice((" ", " ", "  ", "\n", "\n  ", "\n    ", "\t")) for _ in range(r.choice((1, 1, 1, 2, 3)))
        )

    def spread(found: re.Match[str]) -> str:
        mark = found.group()
        return mark if mark[0] == '"' else blank() + mark + blank()

    return BETWEEN.sub(spread, text)


def record(r: Rng) -> tuple[str, Any]:
    """A value and what to call it."""
    x = r.random()
    if x < 0.5:
        noun = r.choice(NOUNS)
        return noun, free_object(r) if r.random() < 0.9 else free_array(r)
    name, make = r.choice(RECORDS)
    if r.random() < 0.12:
        return f"list of {name}s", [make(r) for _ in range(r.randint(1, 3))]
    return name, make(r)


def schema_of(r: Rng, value: Any) -> dict[str, Any]:
    """A schema that the value satisfies, in the plain style of function-calling prompts."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {k: schema_of(r, v) for k, v in value.items()}, "required": list(value)}
    if isinstance(value, list):
        return {"type": "array", "items": schema_of(r, value[0])} if value else {"type": "array"}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if value is None:
        return {"type": "null"}
    if isinstance(value, str):
        others = [r.choice(NOUNS) for _ in range(2)]
        return {"enum": r.sample([value, *others], 3)} if r.random() < 0.15 else {"type": "string"}
    return {"type": "integer" if isinstance(value, int) else "number"}


# ---------------------------------------------------------------- documents


def json_document(r: Rng) -> str:
    return dump(r, record(r)[1])


def scalar_list(r: Rng) -> str:
    return dump(r, free_array(r, 3))


def prompted(r: Rng) -> str:
    name, value = record(r)
    ask = r.choice(
        (
            f"Describe a {name} as JSON:\n",
            f"Give me a {name} as JSON.\n",
            f"Write a JSON object for a {name}:\n",
            f"{r.choice(VERBS).capitalize()} a {name}. Answer in JSON.\n",
            f"Q: {sentence(r)} Give the {name} as JSON.\nA: ",
            f"{sentence(r)}\nExtract the {name} as JSON:\n",
            f"User: I need a {name} in JSON.\nAssistant: ",
            f"{name}: ",
            f"JSON for a {name}: ",
            f"{name.capitalize()}:\n",
            f"Here is a {name}:\n",
            f"Generate a {name}.\n",
        )
    )
    if isinstance(value, dict) and value and r.random() < 0.3:
        ask = ask.rstrip("\n ").rstrip(":.") + f" with {', '.join(value)}:\n"
    body = dump(r, value)
    return f"{ask}```json\n{body}\n```" if r.random() < 0.08 else ask + body


def extraction(r: Rng) -> str:
    """A sentence that holds facts, then the facts: copying is worth learning."""
    who, age, city, job = full_name(r), r.randint(18, 90), r.choice(CITIES), r.choice(JOBS)
    said = r.choice(
        (
            f"{who} is {age} years old, lives in {city} and works as a {job}.",
            f"My name is {who}, I am a {age} year old {job} from {city}.",
            f"{who} ({age}), {job}, {city}",
        )
    )
    ask = r.choice(("Extract as JSON:\n", "JSON:\n", "Answer: ", "As JSON: "))
    return f"{said}\n{ask}{dump(r, subset(r, {'name': who, 'age': age, 'city': city, 'job': job}, 0.85))}"


def schema_prompt(r: Rng) -> str:
    value = record(r)[1]
    if not isinstance(value, dict) or len(plain(value)) > 260:
        value = {key(r): scalar(r) for _ in range(r.randint(1, 4))}
    ask = r.choice(("JSON:\n", "Answer with JSON that fits the schema:\n", "Output: "))
    return f"Schema: {plain(schema_of(r, value))}\n{ask}{dump(r, value)}"


def tool_arguments(r: Rng) -> tuple[str, dict[str, Any], Any]:
    """A tool, its arguments and what it answers."""
    a, b, city = r.randint(1, 99), r.randint(1, 99), r.choice(CITIES)
    operator, result = r.choice((("+", a + b), ("-", a - b), ("*", a * b)))
    topic = f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}"
    choices: list[tuple[str, dict[str, Any], Any]] = [
        ("calculator", {"expression": f"{a} {operator} {b}"}, result),
        ("add", {"a": a, "b": b}, a + b),
        ("search", {"query": topic}, sentence(r)),
        ("search", {"query": topic, "limit": r.randint(1, 10)}, [phrase(r) for _ in range(max(1, length(r)))]),
        ("get_weather", {"city": city}, f"{r.choice(SKIES)}, {r.randint(-5, 35)} C"),
        ("get_weather", {"city": city, "unit": r.choice(("celsius", "fahrenheit"))}, weather(r)),
        ("get_time", {"city": city}, clock(r)),
        ("send_email", {"to": email(r), "subject": phrase(r), "body": sentence(r)}, r.choice(("sent", "ok"))),
        (
            "book_flight",
            {"from": city, "to": r.choice(CITIES), "date": date(r)},
            {"ticket": code(r), "price": price(r)},
        ),
        ("lookup", {"id": r.randint(1, 999)}, subset(r, person(r))),
        ("read_file", {"path": f"/{word(r)}/{word(r)}.txt"}, sentence(r)),
        ("translate", {"text": r.choice(NOUNS), "language": r.choice(("German", "French", "Spanish"))}, invented(r)),
        ("convert", {"amount": price(r), "from": "USD", "to": "EUR"}, price(r)),
    ]
    if r.random() < 0.35:
        return (
            f"{r.choice(VERBS)}_{r.choice(NOUNS)}",
            {key(r): scalar(r) for _ in range(r.randint(0, 4))},
            anything(r, 2),
        )
    return r.choice(choices)


def tool_call(r: Rng) -> str:
    name, arguments, _ = tool_arguments(r)
    call = {"name": name, r.choice(("arguments", "arguments", "parameters")): arguments}
    ask = f"{sentence(r)}\n" if r.random() < 0.5 else ""
    return (
        ask
        + r.choice(
            (
                lambda: dump(r, call),
                lambda: f"<tool_call>\n{plain(call)}\n</tool_call>",
                lambda: f"<function={name}>{plain(arguments)}</function>",
                lambda: f"{name}({', '.join(f'{k}={plain(v)}' for k, v in arguments.items())})",
                lambda: dump(
                    r, {"tool_calls": [{"id": f"call_{r.randint(1, 99)}", "type": "function", "function": call}]}
                ),
                lambda: dump(r, {"tool": name, "input": arguments}),
            )
        )()
    )


def thought(r: Rng, name: str) -> str:
    return r.choice(
        (
            f"I should {name.replace('_', ' ')}.",
            f"I need to {r.choice(VERBS)} the {r.choice(NOUNS)} first.",
            f"I will use {name}.",
            f"To answer this I need the {r.choice(NOUNS)}.",
            "I need more information.",
        )
    )


def answer_text(r: Rng, seen: Any) -> str:
    shown = seen if isinstance(seen, (str, int, float)) else phrase(r)
    return r.choice((f"{shown}", f"The answer is {shown}.", sentence(r)))


def question(r: Rng, name: str, arguments: dict[str, Any]) -> str:
    value = next(iter(arguments.values()), r.choice(NOUNS))
    return r.choice(
        (
            f"What is {value}?",
            f"Can you {name.replace('_', ' ')} {value}?",
            f"How many {r.choice(NOUNS)}s are in {r.choice(CITIES)}?",
            f"Who {r.choice(PAST)} the {r.choice(NOUNS)}?",
            f"Where is the {r.choice(ADJECTIVES)} {r.choice(NOUNS)}?",
        )
    )


def react(r: Rng) -> str:
    name, arguments, seen = tool_arguments(r)
    lines = [f"Question: {question(r, name, arguments)}"]
    for step in range(r.choice((0, 1, 1, 1, 2, 2))):
        if step:
            name, arguments, seen = tool_arguments(r)
        given = next(iter(arguments.values())) if len(arguments) == 1 and r.random() < 0.4 else plain(arguments)
        lines += [f"Thought: {thought(r, name)}", f"Action: {name}", f"Action Input: {given}"]
        lines.append(f"Observation: {seen if isinstance(seen, str) else plain(seen)}")
    return "\n".join([*lines, f"Thought: {r.choice(('I now know the final answer.', thought(r, name)))}",
                      f"Final Answer: {answer_text(r, seen)}"])  # fmt: skip


def bracketed(r: Rng) -> str:
    lines = [f"Question: {question(r, *tool_arguments(r)[:2])}"]
    for i in range(1, r.randint(2, 4)):
        topic, tail = r.choice(NOUNS), sentence(r)
        lines += [f"Thought {i}: I should look up {topic}.", f"Action {i}: Search[{topic}]", f"Observation {i}: {tail}"]
    return "\n".join(
        [*lines, f"Thought {len(lines) // 3 + 1}: I am done.", f"Action {len(lines) // 3 + 1}: Finish[{phrase(r)}]"]
    )


def tagged(r: Rng) -> str:
    name, arguments, seen = tool_arguments(r)
    call = plain({"name": name, "arguments": arguments})
    return (
        f"<user>{question(r, name, arguments)}</user>\n<think>{thought(r, name)}</think>\n"
        f"<tool_call>{call}</tool_call>\n"
        f"<tool_response>{plain(seen)}</tool_response>\n<answer>{answer_text(r, seen)}</answer>"
    )


def conversation(r: Rng) -> str:
    name, arguments, seen = tool_arguments(r)
    turns = [
        {"role": "user", "content": question(r, name, arguments)},
        {"role": "assistant", "content": thought(r, name), "tool": name, "arguments": arguments},
        {"role": "tool", "content": seen},
        {"role": "assistant", "content": answer_text(r, seen)},
    ]
    return dump(r, turns) if r.random() < 0.5 else "\n".join(plain(t) for t in turns)


def sentences(r: Rng) -> str:
    return " ".join(sentence(r) for _ in range(r.randint(1, 6)))


def listing(r: Rng) -> str:
    head = f"{r.choice(VERBS).capitalize()} list:\n"
    rows = [phrase(r) for _ in range(r.randint(2, 5))]
    return (
        head + "\n".join(f"{i}. {x}" for i, x in enumerate(rows, 1))
        if r.random() < 0.5
        else head + "\n".join(f"- {x}" for x in rows)
    )


def choice_answer(r: Rng) -> str:
    options = r.sample(("yes", "no", "maybe", "positive", "negative", "neutral", *COLORS, *NOUNS), r.randint(2, 4))
    return r.choice((
        f"{sentence(r)} Is it {', '.join(options[:-1])} or {options[-1]}?\nAnswer: {r.choice(options)}",
        f"Q: {question(r, 'find', {})}\nA: {phrase(r)}",
    ))  # fmt: skip


def expression(r: Rng, depth: int = 0) -> str:
    if depth > 2 or r.random() < 0.35:
        return r.choice((str(r.randint(0, 99)), r.choice("abcxyz")))
    inner = f"{expression(r, depth + 1)} {r.choice('+-*/')} {expression(r, depth + 1)}"
    return f"({inner})" if r.random() < 0.4 else inner


def symbols(r: Rng) -> str:
    """Small formal texts that are not JSON: sums, queries, settings, markup."""
    a, b, t = key(r), key(r), r.choice(NOUNS)
    return r.choice(
        (
            lambda: expression(r),
            lambda: f"{r.choice('xyz')} = {expression(r)}",
            lambda: f"SELECT {t}, {r.choice(NOUNS)} FROM {r.choice(NOUNS)}s WHERE {t} = {number(r)};",
            lambda: "\n".join(f"{key(r)}: {scalar(r)}" for _ in range(r.randint(1, 5))),
            lambda: f"<{t}>{phrase(r)}</{t}>",
            lambda: f"{a},{b}\n" + "\n".join(f"{word(r)},{number(r)}" for _ in range(r.randint(1, 4))),
            lambda: f"def {r.choice(VERBS)}_{t}({r.choice('abxy')}):\n    return {expression(r)}",
        )
    )()


DOCUMENTS: list[tuple[float, Callable[[Rng], str]]] = [
    (26, json_document),
    (3, scalar_list),
    (22, prompted),
    (5, extraction),
    (7, schema_prompt),
    (9, tool_call),
    (9, react),
    (2, bracketed),
    (3, tagged),
    (3, conversation),
    (4, sentences),
    (1, listing),
    (3, choice_answer),
    (3, symbols),
]


def documents(seed: int) -> Iterator[str]:
    """An endless deterministic stream of documents."""
    r = random.Random(seed)
    weights, makers = zip(*DOCUMENTS, strict=True)
    while True:
        yield r.choices(makers, weights)[0](r)


if __name__ == "__main__":
    stream = documents(1)
    for _ in range(30):
        print(next(stream), end="\n-----\n")
