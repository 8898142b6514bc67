"""What a JSON schema says of a value, normalised: conjunctions of schemas, split into branches of plain keywords.

A *node* is a schema object in its context (schema_context.py), reduced to the keywords that assert. A *conjunction* is
a tuple of node numbers, all of which must hold; every place of a document gets the conjunction of all that applies
there. Applicators in place (`$ref`, `allOf`, `anyOf`, `oneOf`, `not`, `if`, dependent and unevaluated ones) dissolve
into *branches*, a disjunction of conjunctions without them:

- a complement is alternatives again (schema_complement), so `not` and `if` need nothing more;
- `oneOf` is, for each of its schemas, that one and the complements of those that it is not disjoint from. Disjointness
  is looked for first: by types, constants, required and forbidden members, then by the emptiness of the conjunction;
- beside `unevaluatedProperties` and `unevaluatedItems` the dissolution is *exact*: every alternative says of each
  subschema that evaluates something whether it holds, so what is evaluated is known in each of them.

Nothing below a member or an item is touched before it is asked for, so the cost is that of what is reached. A schema
that leads back to itself in place has no branch there (the least fixpoint); through a complement it has no meaning and
is refused.

INVARIANT: conjunctions have no duplicates and keep the order in which a reader meets the schemas, since that is the
order of members (DESIGN, property_order).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError, UnsupportedError
from ..automata.regular import EMPTY, Language, Regular, alternation, compile_regular, literal
from .json_values import identity
from .schema_branch import Branch
from .schema_complement import Alternative, complement, negated
from .schema_emptiness import Conjunction, Question, plainly_has_value
from .schema_facts import NO_FACTS, Facts, facts_of, implied, joined, says_no_more
from .schema_keywords import IN_PLACE, Inner, Sub, assertions
from .schema_scan import SchemaScan
from .schema_strings import string_values

__all__ = ["ANYTHING", "Node", "SchemaValues"]

ANYTHING: Conjunction = ()

# A conjunction in which ~n stands for a node that holds but evaluates nothing, since it stands under a complement.
Terms: TypeAlias = "tuple[int, ...]"
# One way to satisfy a keyword in place: schemas that must hold, each with whether it evaluates members and items.
Option: TypeAlias = "list[tuple[Sub, bool]]"

_MOST_BRANCHES = 512
# Pairs of alternatives that are compared to see whether two schemas of a oneOf are disjoint.
_MOST_PAIRS = 4096
# Conjunctions that one question of emptiness may look at.
_MOST_LOOKS = 20_000
# Applicators in place that may lie inside one another without a value in between.
_DEEPEST = 200
# No place of a path: the branches do not lead back into it.
LEADS_ON = 1 << 30

_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_REFERENCE_ALONE = frozenset(("$ref",))
_COMPLEMENTING = frozenset(("not", "oneOf", "if", Inner.NOT))
# Keywords that evaluate members or items, or may lead to some that do.
_EVALUATING = frozenset(
    ["properties", "patternProperties", "additionalProperties", "items", "prefixItems", "additionalItems", "contains"]
) | (IN_PLACE - {"not", Inner.NOT})


class Node:
    """A schema object in its context, reduced to the keywords that assert something under its draft."""

    __slots__ = ("at", "in_place", "is_alone", "is_plain", "number", "schema")

    def __init__(self, number: int, schema: dict[Any, Any], at: Any) -> None:
        self.number = number
        self.schema = schema
        self.at = at
        self.in_place = not IN_PLACE.isdisjoint(schema)
        self.is_plain = not self.in_place or not IN_PLACE.issuperset(schema)
        self.is_alone = not self.in_place and Inner.SOME_MEMBER not in schema  # its only branch is itself


class SchemaValues:
    """The schemas of one grammar, by node number, with their branches."""

    def __init__(self, scan: SchemaScan) -> None:
        self.scan = scan
        self.draft = scan.draft
        self._asserting = assertions(scan.draft)
        self.forget()

    def forget(self) -> None:
        """Forgets all nodes, since what the scan drops has changed."""
        self._nodes: list[Node] = []
        self._numbers: dict[Any, int] = {}
        self._facts: dict[int, Facts] = {}
        self._factual: dict[int, bool] = {}
        self._complements: dict[int, list[Alternative]] = {}
        self._alternatives: dict[tuple[int, bool], list[Terms]] = {}
        self._by_conjunction: dict[Conjunction, list[Branch]] = {}
        self._refused: dict[Conjunction, tuple[str, int, int]] = {}
        self._nonempty: set[Conjunction] = set()
        self._empty: set[Conjunction] = set()
        self._comparing = False
        # Schemas are known by identity, so those that are made here are kept.
        self._made: list[Any] = []

    # ------------------------------------------------------------------------------------------------ nodes

    def conjunction(self, subs: Iterable[Sub]) -> Conjunction | None:
        """The conjunction of schemas (objects or booleans) in their contexts, or None when one of them is false."""
        numbers: list[int] = []
        for sub in subs:
            number = self._number(sub)
            if number == -2:
                return None
            if number >= 0 and number not in numbers:
                numbers.append(number)
        return tuple(numbers)

    def _number(self, sub: Sub) -> int:
        """The number of a node, -1 for a schema that says nothing, -2 for false."""
        schema, at = sub
        if schema is True or not schema:
            return -2 if schema is False else -1
        key: Any = (id(schema), at)
        known = self._numbers.get(key)
        if known is None:
            known = self._numbers[key] = self._new(schema, at)
        return known

    def _new(self, schema: dict[Any, Any], at: Any) -> int:
        self._made.append(schema)
        if len(schema) == 1:
            # Complements of one schema are one node, however often they were written.
            ((keyword, value),) = schema.items()
            if keyword is Inner.NOT:
                key = (Inner.NOT, id(value[0]), value[1])
                known = self._numbers.get(key)
                if known is None:
                    known = self._numbers[key] = self._added(schema, at)
                return known
            if keyword is Inner.ANY_OF and len(value) == 1 and len(value[0]) == 1:
                return self._number(value[0][0])
        return self._added(schema, at)

    def _added(self, schema: dict[Any, Any], at: Any) -> int:
        at = self.scan.contexts.enter(schema, at)
        known = self._reduced(schema)
        if not known:
            return -1
        self._nodes.append(Node(len(self._nodes), known, at))
        return len(self._nodes) - 1

    def _reduced(self, schema: dict[Any, Any]) -> dict[Any, Any]:
        """What of a schema asserts something: by its draft, by the scan, and by the options."""
        asserting, dropped = self._asserting, self.scan.dropped
        if self.draft <= 7 and "$ref" in schema:
            asserting = _REFERENCE_ALONE
        known = {k: v for k, v in schema.items() if k in asserting}
        if dropped:
            known = {k: v for k, v in known.items() if (id(schema), k) not in dropped}
        if "format" in known and not self.scan.asserts_format(known["format"]):
            del known["format"]
        return known

    def node(self, number: int) -> Node:
        return self._nodes[number]

    def facts(self, number: int) -> Facts:
        """What is plain of a node without looking into its members."""
        known = self._facts.get(number)
        if known is None:
            known = self._facts[number] = facts_of(self._nodes[number].schema, self._reduced)
        return known

    # ------------------------------------------------------------------------------------------------ branches

    def branches(self, conjunction: Conjunction) -> list[Branch]:
        """The disjunction that a conjunction comes to; [] if it contradicts itself in place."""
        known = self._by_conjunction.get(conjunction)
        if known is None and len(conjunction) == 1 and self._nodes[conjunction[0]].is_alone:
            known = self._by_conjunction[conjunction] = [Branch(self, conjunction)]
        elif known is None:
            known = self._by_conjunction[conjunction] = self._multiplied_out(conjunction)
        return known

    def _multiplied_out(self, conjunction: Conjunction) -> list[Branch]:
        """The branches of a conjunction; the same LimitError again where there are too many."""
        refused = self._refused.get(conjunction)
        if refused is not None:
            raise LimitError(*refused)
        found: dict[Conjunction, None] = {}
        try:
            for terms in self._product([self._alternatives_of(number, (), False)[0] for number in conjunction]):
                found.update(dict.fromkeys(self._placed(_numbers_of(terms))))
        except LimitError as error:
            # While alternatives are compared, fewer of them are known to be disjoint than there are.
            if not self._comparing:
                self._refused[conjunction] = (error.limit, error.given, error.allowed)
            raise
        return [Branch(self, numbers) for numbers in found]

    def _placed(self, numbers: Conjunction) -> Iterator[Conjunction]:
        """A conjunction whose wanted members (Inner.SOME_MEMBER) are declared ones, or undeclared ones."""
        for at, number in enumerate(numbers):
            wanted = self._nodes[number].schema.get(Inner.SOME_MEMBER)
            if wanted is None:
                continue
            names, sub = wanted
            rest = numbers[:at] + numbers[at + 1 :]
            value = sub[0] if isinstance(sub[0], bool) else {Inner.ANY_OF: ((sub,),)}
            branch = Branch(self, rest)
            readings: list[dict[Any, Any]]
            readings = [{"required": [name], "properties": {name: value}} for name in branch.declared_and_required()
                        if branch.is_among(name, names)]  # fmt: skip
            if branch.may_have_others():
                readings.append({Inner.SOME_OTHER: wanted})
            for reading in readings:
                key = (number, *map(str, reading.get("required", ())))
                made = self._made_number({"type": "object", **reading}, key)
                for placed in self._placed((*rest, made)):
                    if not self._contradicts(placed):
                        yield placed
            return
        yield numbers

    def _made_number(self, schema: dict[Any, Any], key: Any) -> int:
        """The node of a schema that is made for a reason (key) that may come again."""
        known = self._numbers.get(key)
        if known is None:
            self._made.append(schema)
            known = self._numbers[key] = self._added(schema, None)
        return known

    def _contradicts(self, numbers: Conjunction) -> bool:
        return self._facts_of_all(numbers) is None

    def _product(
        self, factors: Iterable[list[Terms]], given: Facts = NO_FACTS, *, absorbing: bool = True
    ) -> list[Terms]:
        """All combinations of one alternative from each factor, less those that plainly contradict themselves.

        given : facts of what holds beside them. absorbing : a factor one of whose alternatives is implied by what is
        chosen already adds nothing; not where it matters which alternatives hold (`unevaluated…`).
        """
        product: dict[Terms, Facts] = {(): given}
        for factor in factors:
            if factor == [()]:
                continue
            grown: dict[Terms, Facts] = {}
            stated = [(right, self._facts_of_all(right)) for right in factor]
            alternatives = [(right, facts) for right, facts in stated if facts is not None]
            if absorbing:
                says_all = [facts for right, facts in alternatives if all(map(self._says_no_more, right))]
                if says_all:
                    for left, known in list(product.items()):
                        if any(implied(known, facts) for facts in says_all):
                            grown[left] = product.pop(left)
            for right, facts in alternatives:
                for left, known in product.items():
                    both = joined(known, facts)
                    if both is not None:
                        grown.setdefault(left + tuple(t for t in right if t not in left), both)
                if len(grown) > _MOST_BRANCHES:
                    raise LimitError("alternatives of a schema (multiplied out)", len(grown), _MOST_BRANCHES)
            product = grown
        return list(product)

    def _facts_of_all(self, terms: Terms) -> Facts | None:
        """The facts of all terms together; None where they contradict each other."""
        facts = NO_FACTS
        for term in terms:
            both = joined(self.facts(term if term >= 0 else ~term), facts)
            if both is None:
                return None
            facts = both
        return facts

    def _says_no_more(self, number: int) -> bool:
        """Whether the facts of a node are all that it says."""
        known = self._factual.get(number)
        if known is None:
            known = self._factual[number] = says_no_more(self._nodes[number].schema, self._reduced)
        return known

    def _alternatives_of(self, number: int, path: tuple[int, ...], exact: bool) -> tuple[list[Terms], int]:
        """(alternatives of a node, the lowest place in the path that they lead back to, or LEADS_ON).

        What leads back below the node itself lacks alternatives that only the node there can add, so it is not kept.
        """
        known = self._alternatives.get((number, exact))
        if known is not None:
            return known, LEADS_ON
        if number in path:
            back = path.index(number)
            if any(not _COMPLEMENTING.isdisjoint(self._nodes[n].schema) for n in path[back:]):
                raise UnsupportedError('"$ref"', "it leads back to itself through a complement (not, oneOf, if)")
            return [], back
        node = self._nodes[number]
        lowest = LEADS_ON
        if not node.in_place:
            result: list[Terms] = [(number,)]
        elif len(path) >= _DEEPEST:
            raise LimitError("nesting of applicators in one place", len(path) + 1, _DEEPEST)
        else:
            result, lowest = self._dissolved(node, (*path, number), exact)
        if lowest >= len(path):
            self._alternatives[number, exact] = result
            lowest = LEADS_ON
        return result, lowest

    def _dissolved(self, node: Node, path: tuple[int, ...], exact: bool) -> tuple[list[Terms], int]:
        unevaluated = [k for k in _UNEVALUATED if k in node.schema and (exact or node.schema[k] is not True)]
        if unevaluated and not exact:
            alternatives, lowest = self._dissolved(node, path, True)
            return list(dict.fromkeys(map(_numbers_of, alternatives))), lowest
        lowest = LEADS_ON
        factors: list[list[Terms]] = [[(node.number,)] if node.is_plain else [()]]
        # What a node says by its applicators alone holds because of the factors, and must not absorb them.
        given = self.facts(node.number) if node.is_plain else NO_FACTS
        for options in self._keywords_in_place(node, path, exact):
            factor: dict[Terms, None] = {}
            for option in options:
                parts: list[list[Terms]] = []
                for sub, evaluates in option:
                    number = self._number(sub)
                    if number == -1:
                        continue
                    found, back = ([], LEADS_ON) if number == -2 else self._alternatives_of(number, path, exact)
                    lowest = min(lowest, back)
                    parts.append(found if evaluates or not exact else [_silent(terms) for terms in found])
                factor.update(dict.fromkeys(self._product(parts, given, absorbing=not exact)))
            factors.append(list(factor))
        alternatives = self._product(factors, absorbing=not exact)
        for keyword in unevaluated:
            alternatives = [self._with_unevaluated(node, keyword, terms) for terms in alternatives]
            alternatives = [terms for terms in alternatives if not self._contradicts(_numbers_of(terms))]
        return alternatives, lowest

    def _with_unevaluated(self, node: Node, keyword: str, terms: Terms) -> Terms:
        """An exact alternative, with what `unevaluatedProperties` or `unevaluatedItems` says of the rest in it."""
        sub = (node.schema[keyword], node.at)
        evaluating = [self._nodes[term] for term in terms if term >= 0]
        make = _unevaluated_members if keyword == "unevaluatedProperties" else _unevaluated_items
        schema = make(evaluating, sub, self.draft)
        if schema is None:
            return terms
        return (*terms, self._made_number(schema, (keyword, node.number, terms)))

    # ------------------------------------------------------------------------------------------------ in place

    def _keywords_in_place(self, node: Node, path: tuple[int, ...], exact: bool) -> Iterator[list[Option]]:
        """For each keyword in place the options that satisfy it."""
        schema, at = node.schema, node.at
        contexts = self.scan.contexts
        for keyword in _REFERENCES:
            if keyword in schema:
                yield [[(contexts.sub(keyword, schema[keyword], at), True)]]
        for sub in schema.get("allOf", ()):
            yield [[((sub, at), True)]]
        if "anyOf" in schema:
            subs = [(sub, at) for sub in schema["anyOf"]]
            yield self._any_exactly(subs) if exact else [[(sub, True)] for sub in subs]
        if "oneOf" in schema:
            yield self._exactly_one([(sub, at) for sub in schema["oneOf"]], path)
        if "not" in schema:
            yield [[(negated((schema["not"], at)), False)]]
        if "if" in schema and (exact or "then" in schema or "else" in schema):
            condition = (schema["if"], at)
            yield [
                [(condition, True), ((schema.get("then", True), at), True)],
                [(negated(condition), False), ((schema.get("else", True), at), True)],
            ]
        for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
            for name, wanted in schema.get(keyword, {}).items():
                yield _dependent(name, wanted, at)
        if Inner.NOT in schema:
            number = self._number(schema[Inner.NOT])
            yield [[(sub, False) for sub in alternative] for alternative in self._complement(number, path)]
        if Inner.ANY_OF in schema:
            yield [[(sub, True) for sub in alternative] for alternative in schema[Inner.ANY_OF]]

    def _any_exactly(self, subs: list[Sub]) -> list[Option]:
        """anyOf, with all that evaluate something decided."""
        deciding = [sub for sub in subs if self._may_evaluate(sub)]
        others = [sub for sub in subs if not self._may_evaluate(sub)]
        options: list[Option] = [[]]
        for sub in deciding:
            options = [[*o, choice] for choice in ((sub, True), (negated(sub), False)) for o in options]
            if len(options) > _MOST_BRANCHES:
                raise LimitError("alternatives of an anyOf beside unevaluated…", len(options), _MOST_BRANCHES)
        none_of_them = options.pop()  # all negated comes last
        options += [[*none_of_them, (sub, True)] for sub in others]
        return options

    def _may_evaluate(self, sub: Sub) -> bool:
        number = self._number(sub)
        return number >= 0 and not _EVALUATING.isdisjoint(self._nodes[number].schema)

    def _exactly_one(self, subs: list[Sub], path: tuple[int, ...]) -> list[Option]:
        """oneOf: each with the complements of those that may hold beside it."""
        subs = [sub for sub in subs if sub[0] is not False]
        known: list[list[Terms] | None] = []
        for sub in subs:
            number = self._number(sub)
            try:
                known.append([()] if number < 0 else self._alternatives_of(number, path, False)[0])
            except LimitError:
                known.append(None)
        beside: list[set[int]] = [set() for _ in subs]
        for i in range(len(subs)):
            for j in range(i):
                if not self._disjoint(known[i], known[j]):
                    beside[i].add(j)
                    beside[j].add(i)
        return [
            [(sub, True), *((negated(subs[j]), False) for j in sorted(beside[i]))] for i, sub in enumerate(subs)
        ]

    def _disjoint(self, left: list[Terms] | None, right: list[Terms] | None) -> bool:
        """Whether no value is in both of two disjunctions; False also where that costs too much to find out."""
        if left is None or right is None or len(left) * len(right) > _MOST_PAIRS:
            return False
        pairs = [
            self.conjunction_of(a + b)
            for a in left
            for b in right
            if not self._contradicts(self.conjunction_of(a + b))
        ]
        if not pairs:
            return True
        # The question whether a conjunction is empty may lead back here; then what is plain must do.
        if self._comparing:
            return False
        self._comparing = True
        try:
            return all(self.is_empty(pair) for pair in pairs)
        except LimitError:
            return False
        finally:
            self._comparing = False

    @staticmethod
    def conjunction_of(terms: Terms) -> Conjunction:
        return tuple(dict.fromkeys(_numbers_of(terms)))

    # ------------------------------------------------------------------------------------------------ complements

    def _complement(self, number: int, path: tuple[int, ...]) -> list[Alternative]:
        """The alternatives to a node (-1: one that says nothing; -2: false)."""
        if number < 0:
            return [] if number == -1 else [()]
        known = self._complements.get(number)
        if known is None:
            node = self._nodes[number]
            known = complement(node.schema, node.at, self.draft)
            for alternative in self._complement_in_place(node, path):
                known.append(alternative)
            self._complements[number] = known
        return known

    def _complement_in_place(self, node: Node, path: tuple[int, ...]) -> Iterator[Alternative]:
        schema, at = node.schema, node.at
        contexts = self.scan.contexts
        if any(schema.get(keyword, True) is not True for keyword in _UNEVALUATED):
            yield from self._complement_unevaluated(node, path)
        for keyword in _REFERENCES:
            if keyword in schema:
                yield (negated(contexts.sub(keyword, schema[keyword], at)),)
        for sub in schema.get("allOf", ()):
            yield (negated((sub, at)),)
        if "anyOf" in schema:
            yield tuple(negated((sub, at)) for sub in schema["anyOf"])
        if "oneOf" in schema:
            subs = [(sub, at) for sub in schema["oneOf"]]
            yield tuple(negated(sub) for sub in subs)
            yield from ((subs[j], subs[i]) for i in range(len(subs)) for j in range(i))
        if "not" in schema:
            yield ((schema["not"], at),)
        if "if" in schema:
            condition = (schema["if"], at)
            yield condition, negated((schema.get("then", True), at))
            yield negated(condition), negated((schema.get("else", True), at))
        for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
            for name, wanted in schema.get(keyword, {}).items():
                here: Sub = ({"type": "object", "required": [name]}, None)
                if isinstance(wanted, (dict, bool)):
                    yield here, negated((wanted, at))
                else:
                    for other in [wanted] if isinstance(wanted, str) else wanted:
                        yield here, ({"properties": {other: False}}, None)
        if Inner.NOT in schema:
            yield (schema[Inner.NOT],)
        if Inner.ANY_OF in schema:
            yield tuple(
                ({Inner.ANY_OF: tuple((negated(sub),) for sub in alternative)}, None)
                for alternative in schema[Inner.ANY_OF]
            )

    def _complement_unevaluated(self, node: Node, path: tuple[int, ...]) -> Iterator[Alternative]:
        """Values under the rest of a schema that have an unevaluated member or item that is under the complement."""
        for keyword in _UNEVALUATED:
            sub = (node.schema.get(keyword, True), node.at)
            rest = {k: v for k, v in node.schema.items() if k not in _UNEVALUATED}
            number = self._number((rest, node.at)) if sub[0] is not True else -1
            self._made.append(rest)
            alternatives = [()] if number < 0 else self._alternatives_of(number, path, True)[0]
            for terms in alternatives if sub[0] is not True else ():
                evaluating = [self._nodes[term] for term in terms if term >= 0]
                make = _unevaluated_members if keyword == "unevaluatedProperties" else _unevaluated_items
                schema = make(evaluating, sub, self.draft)
                if schema is not None:
                    here = [(self._nodes[n].schema, self._nodes[n].at) for n in _numbers_of(terms)]
                    yield (*here, negated((schema, None)))

    # ------------------------------------------------------------------------------------------------ emptiness

    def is_empty(self, conjunction: Conjunction | None) -> bool:
        """Whether no finite JSON value satisfies a conjunction: the least fixpoint over what is required."""
        if conjunction is None:
            return True
        return not self.has_value(conjunction, Question())[0]

    def has_value(self, conjunction: Conjunction | None, question: Question) -> tuple[bool, bool]:
        """(whether a value was found, whether "no" rests on conjunctions that the question takes to have none)."""
        if conjunction is None:
            return False, False
        if conjunction in self._nonempty or not conjunction:
            return True, False
        if conjunction in self._empty:
            return False, False
        if len(conjunction) == 1 and plainly_has_value(self._nodes[conjunction[0]].schema, self._reduced, self.draft):
            self._nonempty.add(conjunction)
            return True, False
        if conjunction in question.active or conjunction in question.without:
            question.assumed.add(conjunction)
            return False, True
        question.active.add(conjunction)
        try:
            found, rests = self._look(conjunction, question)
        finally:
            question.active.discard(conjunction)
        if found:
            self._nonempty.add(conjunction)
            if conjunction in question.assumed:
                question.surprises += 1
                question.without.clear()
            return True, False
        if not rests:
            self._empty.add(conjunction)
            return False, False
        question.without.add(conjunction)
        if question.active:
            return False, True
        self._empty |= question.without
        return False, False

    def _look(self, conjunction: Conjunction, question: Question) -> tuple[bool, bool]:
        """As has_value, of its branches; again where something that was taken to have no value turned out to have."""
        while True:
            surprises, rests = question.surprises, False
            question.looks += 1
            if question.looks > _MOST_LOOKS:
                what = "conjunctions looked at to see whether a schema has a value"
                raise LimitError(what, question.looks, _MOST_LOOKS)
            for branch in self.branches(conjunction):
                found, here = branch.has_value(question)
                if found:
                    return True, False
                rests |= here
            if surprises == question.surprises:
                return False, rests

    # ------------------------------------------------------------------------------------------------ values

    def strings_under(self, subs: Iterable[Sub]) -> ByteDfa:
        """The strings (values, not spellings) that are under all of some schemas."""
        conjunction = self.conjunction(subs)
        return compile_regular(EMPTY) if conjunction is None else self.strings_of(conjunction)

    def strings_of(self, conjunction: Conjunction) -> ByteDfa:
        """The strings that are under a conjunction."""
        parts: list[Regular] = []
        for branch in self.branches(conjunction):
            if branch.constants is not None:
                parts += [literal(value) for value in branch.constants if isinstance(value, str)]
            elif branch.has_strings:
                parts.append(Language(string_values(branch.string_set)))
        return compile_regular(alternation(*parts))

    def constants(self, conjunction: Conjunction, most: int) -> list[Any] | None:
        """All values of a conjunction, if they are plainly at most so many; None if not."""
        found: dict[Any, Any] = {}
        for branch in self.branches(conjunction):
            values = branch.finite_values(most)
            if values is None:
                return None
            found.update((identity(value), value) for value in values)
            if len(found) > most:
                return None
        return list(found.values())

    def admits(self, subs: Iterable[Sub], value: Any) -> bool:
        """Whether a JSON value is under all of some schemas."""
        conjunction = self.conjunction(subs)
        return conjunction is not None and any(branch.admits(value) for branch in self.branches(conjunction))


# ------------------------------------------------------------------------------------------------ terms


def _numbers_of(terms: Terms) -> Conjunction:
    return tuple(dict.fromkeys(term if term >= 0 else ~term for term in terms))


def _silent(terms: Terms) -> Terms:
    return tuple(term if term < 0 else ~term for term in terms)


def _dependent(name: str, wanted: Any, at: Any) -> list[Option]:
    """Without the member, or with it and what it asks for (a schema, or the names of other members)."""
    absent: Sub = ({"properties": {name: False}}, None)
    if isinstance(wanted, (dict, bool)):
        present: Sub = ({"type": "object", "required": [name]}, None)
        return [[(absent, False)], [(present, False), ((wanted, at), True)]]
    others = [wanted] if isinstance(wanted, str) else wanted
    return [[(absent, False)], [(({"type": "object", "required": [name, *others]}, None), False)]]


# ------------------------------------------------------------------------------------------------ unevaluated


def _unevaluated_members(evaluating: list[Node], sub: Sub, draft: int) -> dict[Any, Any] | None:
    """What holds of the members that none of the nodes evaluates; None if they evaluate all."""
    names: dict[str, Any] = {}
    patterns: dict[str, Any] = {}
    for node in evaluating:
        if "additionalProperties" in node.schema:
            return None
        names.update(dict.fromkeys(node.schema.get("properties", ()), True))
        patterns.update(dict.fromkeys(node.schema.get("patternProperties", ()), True))
    rest = sub[0] if isinstance(sub[0], bool) else {Inner.ANY_OF: ((sub,),)}
    return {"properties": names, "patternProperties": patterns, "additionalProperties": rest}


def _unevaluated_items(evaluating: list[Node], sub: Sub, draft: int) -> dict[Any, Any] | None:
    """What holds of the items that none of the nodes evaluates; None if they evaluate all."""
    prefix = 0
    contained: list[tuple[Sub, ...]] = []
    for node in evaluating:
        schema = node.schema
        items = schema.get("items")
        if isinstance(items, list):
            if "additionalItems" in schema:
                return None
            prefix = max(prefix, len(items))
        elif items is not None:
            return None
        prefix = max(prefix, len(schema.get("prefixItems", ())))
        if draft >= 2020 and "contains" in schema:
            contained.append(((schema["contains"], node.at),))
    rest: Any = sub[0]
    if contained or not isinstance(rest, bool):
        rest = {Inner.ANY_OF: (*contained, (sub,))}
    return {"items": [True] * prefix, "additionalItems": rest} if prefix else {"items": rest}
