"""References of JSON Schema: which schema does `$ref`, `$dynamicRef` or `$recursiveRef` name, and what is its base?

A schema document is a tree of *resources*: the root, and every subschema with an `$id` of its own (`id` in draft 4). A
reference is a URI, resolved against that of the resource in which it stands, and a fragment, which is a JSON pointer
from that resource's root or the plain name of an anchor in it. `References` answers for one document, for those that
were given with it by their URIs, and for the official metaschemas, which are at hand; whatever else a reference names
is refused: nothing is fetched or opened.

- A `Base` is a resource. There is one object for each, so bases are compared and hashed by identity.
- A `Scope` is what `$dynamicRef` and `$recursiveRef` need to know of the dynamic scope: for each dynamic anchor the
  outermost resource that has it. Equal scopes are one object. Where evaluation never leaves the root resource, or no
  resource has a dynamic anchor, there is only the one scope in which it starts.
- Only what stands where the draft expects a schema identifies anything: an "$id" among the values of `enum`, in an
  unknown keyword or as the name of a property is data. A pointer may lead into such a place: what it finds there is
  read as a schema of the resource in which the pointer starts.
- Two schemas with one URI or anchor are an error where a reference names them, and nowhere else.

Cost: a pointer into the same resource is followed step by step (1 to 2 us) and remembered; only a URI, a plain name or
a second resource of a draft with dynamic anchors makes one walk over the document's subschemas (1.3 us each).
The specification objects of the `referencing` package know the same places of subschemas and identifiers, and the tests
compare with them; but they raise on malformed schemas, do not know where what they find stands, and walk all at once.
Sources: JSON Schema core, drafts 4 (section 7) and 6 to 2020-12 (sections 8, 9); RFC 3986 (section 5.2); RFC 6901.
"""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote

from ..automata.errors import GrammarError, UnsupportedError

__all__ = ["DRAFTS", "Base", "References", "Scope", "Target", "draft_named", "resolve_uri"]

# Drafts by what their `$schema` contains.
DRAFTS = {"draft-03": 3, "draft-04": 4, "draft-06": 6, "draft-07": 7, "2019-09": 2019, "2020-12": 2020}

# What a place in a schema document is.
_SCHEMA = 1  # a schema; as the place of a keyword's value: a schema or an array of them
_SCHEMAS = 2  # an object or array whose members are schemas
_DATA = 3  # anything else

_ONE_4 = ("not", "items", "additionalItems", "additionalProperties", "allOf", "anyOf", "oneOf")
_ONE_6 = (*_ONE_4, "contains", "propertyNames")
_ONE_7 = (*_ONE_6, "if", "then", "else")
_ONE_2019 = (*_ONE_7, "contentSchema", "unevaluatedItems", "unevaluatedProperties")
_ONE_2020 = (*(keyword for keyword in _ONE_2019 if keyword != "additionalItems"), "prefixItems")
_NAMED_4 = ("definitions", "properties", "patternProperties", "dependencies")
_NAMED_2019 = (*_NAMED_4, "$defs", "dependentSchemas")


def _places(one: Iterable[str], named: Iterable[str]) -> dict[str, int]:
    return {**dict.fromkeys(one, _SCHEMA), **dict.fromkeys(named, _SCHEMAS)}


# draft -> keyword that holds schemas -> the place that its value is. `dependencies` left the standard in 2019-09, but
# the metaschemas still know it.
_SUBSCHEMAS = {
    4: _places(_ONE_4, _NAMED_4),
    6: _places(_ONE_6, _NAMED_4),
    7: _places(_ONE_7, _NAMED_4),
    2019: _places(_ONE_2019, _NAMED_2019),
    2020: _places(_ONE_2020, _NAMED_2019),
}

# The URIs of the metaschemas, less the scheme: what the `$schema` of an embedded resource must be to change its draft.
_METASCHEMAS = {
    f"//json-schema.org/{way}/schema": max(draft, 4)
    for name, draft in DRAFTS.items()
    for way in (name if draft < 2019 else f"draft/{name}",)
}

_RECURSIVE = ""  # under which a scope keeps `$recursiveAnchor`: no anchor has that name, for "#" is the whole resource
_SHOWN = 5  # names that an error lists


class Base:
    """A schema resource: the base of the references in it.

    uri : its URI without a fragment, "" for a root that has none. root : its schema. draft : 4, 6, 7, 2019 or 2020.
    pointer : where its root stands, as a JSON pointer; in another document than the schema's, after that one's URI.
    """

    __slots__ = ("_anchors", "_dynamic", "_outer", "_resources", "draft", "pointer", "root", "uri")

    def __init__(self, uri: str, root: Any, draft: int, pointer: str, document: Base | None) -> None:
        self.uri = uri
        self.root = root
        self.draft = draft
        self.pointer = pointer
        self._outer = document
        # What the walk over the document finds, put here whole when it is done: threads may walk it at the same time.
        self._resources: dict[str, list[Base]] | None = None  # of a document: by URI
        self._anchors: dict[str, list[Target]] = {}
        recursive = draft == 2019 and isinstance(root, dict) and root.get("$recursiveAnchor") is True
        self._dynamic: frozenset[str] = frozenset((_RECURSIVE,) if recursive else ())

    @property
    def document(self) -> Base:
        """The resource of the whole document that it lies in."""
        return self if self._outer is None else self._outer

    def __repr__(self) -> str:
        return f"Base({self.uri or self.pointer!r})"


class Target(NamedTuple):
    """The schema that a reference names, the resource that it lies in, and where it stands (as `Base.pointer`)."""

    schema: Any
    base: Base
    pointer: str


class Scope:
    """A dynamic scope: for each dynamic anchor, the outermost of the resources entered so far that has it."""

    __slots__ = ("_after", "_outermost", "_references")

    def __init__(self, references: References, outermost: dict[str, Base] | None) -> None:
        self._references: References = weakref.proxy(references)  # which keeps the scopes
        self._outermost = outermost  # None: those of the root, not looked for yet
        self._after: dict[Base, Scope | None] = {}  # None: this one

    def entered(self, base: Base) -> Scope:
        """The scope after evaluation goes on in a resource, by a reference or in a subschema with an `$id`."""
        if base not in self._after:
            after = self._references._scope_after(self, base)
            self._after[base] = None if after is self else after
        return self._after[base] or self

    def outermost(self, anchor: str) -> Base | None:
        """The outermost resource with a dynamic anchor."""
        return self._known().get(anchor)

    def _known(self) -> dict[str, Base]:
        if self._outermost is None:
            root = self._references.base
            self._outermost = dict.fromkeys(self._references._dynamic_anchors(root), root)
        return self._outermost


class References:
    """The references of one schema document, beside which others may be given by their URIs.

    base : the root's resource; scope : the dynamic scope in which its evaluation starts.
    `pointer` and `keyword` are, in every method, where the reference or schema stands; errors name them.
    """

    def __init__(self, root: Any, draft: int, given: Mapping[str, Any] = MappingProxyType({})) -> None:
        """root : the parsed schema. draft : 4, 6, 7, 2019 or 2020. given : other parsed documents, by absolute URI."""
        self.base = Base(_uri_of_root(root, draft), root, draft, "", None)
        self.scope = Scope(self, None)
        self.scope._after[self.base] = None
        self._targets: dict[tuple[Base, str], Target] = {}
        self._scopes: dict[frozenset[tuple[str, Base]], Scope] = {}
        self._embedded: dict[int, Base] = {}  # by the id of the resource's root
        self._given = {uri.partition("#")[0]: contents for uri, contents in given.items()}
        self._documents: dict[str, Base] = {}  # those given and the metaschemas, as far as they are named

    # ------------------------------------------------------------------------------------------------ asking

    def enter(self, schema: Any, at: Base, pointer: str = "") -> Base:
        """The resource that a subschema of `at` lies in: one of its own if it has an `$id`, else `at`."""
        if not isinstance(schema, dict) or ("$id" not in schema and "id" not in schema):
            return at
        identifier, draft = _identifier(schema, at.draft)
        if not isinstance(identifier, str):
            keyword = _identifier_keyword(at.draft)
            raise GrammarError(
                f"an identifier is a string that is a URI, such as 'https://example.com/address', not {identifier!r}",
                pointer=f"{pointer}/{keyword}",
                keyword=keyword,
            )
        return self._entered(schema, identifier, draft, at, pointer)

    def resolve(self, reference: str, at: Base, pointer: str = "", keyword: str = "$ref") -> Target:
        """The schema that a reference in the resource `at` names, statically, with its base: `$id` is accounted for.

        GrammarError : it leads nowhere, to two schemas or to what is none. UnsupportedError : it leads out.
        """
        if not isinstance(reference, str):
            raise GrammarError(
                f"a reference is a string that is a URI, such as '#/$defs/name', not {reference!r}",
                pointer=pointer,
                keyword=keyword,
            )
        target = self._targets.get((at, reference))
        if target is None:
            target = self._targets[at, reference] = _Question(reference, pointer, keyword).answer(self, at)
        return target

    def dynamic(self, reference: str, at: Base, scope: Scope, pointer: str = "") -> Target:
        """The schema that a `$dynamicRef` (2020-12) or a `$recursiveRef` (2019-09) in `at` names in a dynamic scope.

        First it is resolved as `$ref`. If what it names has the dynamic anchor of that name (in 2019-09: if its
        resource has a true `$recursiveAnchor`), the outermost resource of the scope with that anchor decides.
        Errors as in `resolve`.
        """
        recursive = at.draft == 2019
        keyword = "$recursiveRef" if recursive else "$dynamicRef"
        if recursive and reference != "#":
            raise GrammarError(
                f"$recursiveRef must be '#', not {reference!r}; use $ref for what is not recursive",
                pointer=pointer,
                keyword=keyword,
            )
        target = self.resolve(reference, at, pointer, keyword)
        fragment = reference.partition("#")[2]
        anchor = unquote(fragment)
        if not (anchor or recursive) or anchor not in self._dynamic_anchors(target.base):
            return target
        outermost = scope.outermost(anchor)
        return target if outermost is None else self.resolve(f"#{fragment}", outermost, pointer, keyword)

    # ------------------------------------------------------------------------------------------------ resources

    def _entered(self, schema: dict[str, Any], identifier: str, draft: int, at: Base, pointer: str) -> Base:
        uri = identifier.partition("#")[0]
        if not uri or schema is at.root:
            return at
        uri = resolve_uri(at.uri, uri)
        known = self._embedded.get(id(schema))
        if known is None:
            known = self._embedded.setdefault(id(schema), Base(uri, schema, draft, pointer, at.document))
        if (known.uri, known.draft) != (uri, draft):
            what = f"is two resources, {known.uri!r} and {uri!r}"
            if known.pointer == pointer:
                message = f"this schema {what}, by the way that leads here: "
                message += f"let its {_identifier_keyword(at.draft)} be an absolute URI"
            else:
                message = f"one Python object {what}, for it stands at {_shown(known.pointer)}, too: copy it"
            raise GrammarError(message, pointer=pointer)
        return known

    def _with_uri(self, uri: str) -> list[Base]:
        """The resources with a URI: of the document, of those that are given, or among the metaschemas."""
        found = self._resources_of(self.base).get(uri)
        if found:
            return found
        document = self._document_at(uri)
        if document is not None:
            return [document]
        for given in self._given:
            document = self._document_at(given)
            found = self._resources_of(document).get(uri) if document is not None else None
            if found:
                return found
        return []

    def _document_at(self, uri: str) -> Base | None:
        """The document that was given under a URI, or the metaschema that has it."""
        if uri not in self._documents:
            contents = self._given[uri] if uri in self._given else _metaschema(uri)
            if contents is None:
                return None
            named = contents.get("$schema") if isinstance(contents, dict) else None
            draft = draft_named(named) or self.base.draft
            document = Base(resolve_uri(uri, _uri_of_root(contents, draft)), contents, draft, f"{uri}#", None)
            self._documents.setdefault(uri, document)
        return self._documents[uri]

    def _resources_of(self, document: Base) -> dict[str, list[Base]]:
        if document._resources is None:
            self._walk(document)
        return document._resources or {}

    def _walk(self, document: Base) -> None:
        """Notes the resources and anchors of all subschemas. What is malformed identifies nothing here: the places that
        are evaluated are checked elsewhere, and no other matters. An object that stands in several places (nothing
        that was parsed does) counts in the first."""
        resources: dict[str, list[Base]] = {document.uri: [document]}
        anchors: dict[Base, dict[str, list[Target]]] = {}
        dynamic: dict[Base, set[str]] = {}
        seen: set[int] = set()
        waiting = [(document.root, document, document.pointer)]
        while waiting:
            schema, at, pointer = waiting.pop()
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen.add(id(schema))
            identifier, draft = _identifier(schema, at.draft)
            if identifier and isinstance(identifier, str):
                base = self._entered(schema, identifier, draft, at, pointer)
                if base is not at:
                    at = base
                    resources.setdefault(at.uri, []).append(at)
            for name, is_dynamic in _anchors(schema, identifier, at.draft):
                anchors.setdefault(at, {}).setdefault(name, []).append(Target(schema, at, pointer))
                if is_dynamic:
                    dynamic.setdefault(at, set()).add(name)
            waiting.extend((sub, at, f"{pointer}/{way}") for sub, way in _subschemas(schema, at.draft))
        for base, names in anchors.items():
            base._anchors = names
        for base, found in dynamic.items():
            base._dynamic = frozenset(found)
        document._resources = resources

    # ------------------------------------------------------------------------------------------------ scopes

    def _dynamic_anchors(self, base: Base) -> frozenset[str]:
        if base.draft == 2020:  # those of 2019-09 are known from the start
            self._resources_of(base.document)
        return base._dynamic

    def _scope_after(self, scope: Scope, base: Base) -> Scope:
        new = self._dynamic_anchors(base)
        if not new:
            return scope
        outermost = {**dict.fromkeys(new, base), **scope._known()}
        if len(outermost) == len(scope._known()):
            return scope
        return self._scopes.setdefault(frozenset(outermost.items()), Scope(self, outermost))


class _Question(NamedTuple):
    """A reference to be resolved, and where it stands."""

    reference: str
    pointer: str
    keyword: str

    def answer(self, references: References, at: Base) -> Target:
        uri, _, fragment = self.reference.partition("#")
        base = self._resource(references, uri, at) if uri else at
        fragment = unquote(fragment)
        if not fragment:
            target = Target(base.root, base, base.pointer)
        elif fragment.startswith("/"):
            target = self._at_pointer(references, fragment, base)
        else:
            target = self._at_anchor(references, fragment, base)
        if not isinstance(target.schema, (dict, bool)):
            what = "an array" if isinstance(target.schema, list) else repr(target.schema)
            raise self._error(f"names {what}, not a schema: name an object or a boolean")
        return target

    def _resource(self, references: References, uri: str, at: Base) -> Base:
        uri = resolve_uri(at.uri, uri)
        found = references._with_uri(uri)
        if not found and uri == at.uri:  # a resource inside what was no schema until a pointer led there
            return at
        if not found:
            reason = "it leads out of this schema, and nothing is fetched: embed the schema under "
            container = "$defs" if at.draft >= 2019 else "definitions"
            reason += f'{container}, with "{_identifier_keyword(at.draft)}": {_quoted(uri)}, or give it in resources'
            raise UnsupportedError(repr(self.reference), reason, pointer=self.pointer, keyword=self.keyword)
        return self._only(found, f"have the URI {uri!r}")

    def _at_anchor(self, references: References, name: str, base: Base) -> Target:
        references._resources_of(base.document)
        found = base._anchors.get(name)
        if not found:
            remedy = f"declare it with {_anchor_shown(name, base.draft)}"
            if "/" in name:
                remedy = f"{'#/' + name!r} is a pointer"
            raise self._error(f"leads nowhere: no schema there has the anchor {name!r}; {remedy}")
        return self._only(found, f"have the anchor {name!r}")

    def _only(self, found: list[Any], have: str) -> Any:
        if len(found) > 1:
            first, second = (_shown(one.pointer) for one in found[:2])
            raise self._error(f"is ambiguous: {first} and {second} both {have}; rename one")
        return found[0]

    def _at_pointer(self, references: References, fragment: str, base: Base) -> Target:
        """Follows a JSON pointer from the root of a resource, into the resources on its way."""
        at, place, start = base.root, _SCHEMA, base.pointer
        parts = fragment.split("/")
        for i in range(1, len(parts)):
            part = parts[i]
            key = part.replace("~1", "/").replace("~0", "~") if "~" in part else part
            if isinstance(at, dict) and key in at:
                at = at[key]
            elif isinstance(at, list) and _is_index(key) and int(key) < len(at):
                at = at[int(key)]
            else:
                raise self._error(_nowhere(key, at, start + "/".join(parts[:i])))
            if place == _SCHEMA:
                place = _place(base.draft, key, at)
            elif place == _SCHEMAS:
                place = _SCHEMA
            if place == _SCHEMA and isinstance(at, dict) and ("$id" in at or "id" in at):
                base = references.enter(at, base, start + "/".join(parts[: i + 1]))
        return Target(at, base, start + fragment)

    def _error(self, message: str) -> GrammarError:
        return GrammarError(f"{self.reference!r} {message}", pointer=self.pointer, keyword=self.keyword)


# ------------------------------------------------------------------------------------------------ keywords


def draft_named(uri: Any) -> int:
    """4, 6, 7, 2019 or 2020 by a `$schema` (draft 3 reads as 4); 0 for what names none of them."""
    if isinstance(uri, str):
        for part, draft in DRAFTS.items():
            if part in uri:
                return max(draft, 4)
    return 0


def _identifier_keyword(draft: int) -> str:
    return "$id" if draft > 4 else "id"


def _identifier(schema: dict[str, Any], draft: int) -> tuple[Any, int]:
    """The identifier of a schema in a resource of a draft, "" if it has none, and the draft in which it is read.

    What identifies is the keyword of the enclosing resource's draft: an "id" within 2020-12 does not, whatever the
    `$schema` beside it. Up to draft 7, `$ref` hides it. A `$schema` that is no metaschema of a draft (that of
    hyper-schema, say) leaves the draft as it is, and so does one without an identifier.
    """
    identifier = schema.get("$id" if draft > 4 else "id", "")
    if identifier == "" or (draft <= 7 and "$ref" in schema):
        return "", draft
    named = schema.get("$schema")
    if isinstance(named, str):
        draft = _METASCHEMAS.get(named.partition(":")[2].rstrip("#"), draft)
    return identifier, draft


def _anchors(schema: dict[str, Any], identifier: Any, draft: int) -> Iterable[tuple[str, bool]]:
    """The plain names that a schema declares, and whether each is dynamic."""
    if draft <= 7:
        name = identifier.partition("#")[2] if isinstance(identifier, str) else ""
        return [(unquote(name), False)] if _is_plain(name) else []
    if "$anchor" not in schema and "$dynamicAnchor" not in schema:
        return []
    static, dynamic = schema.get("$anchor"), schema.get("$dynamicAnchor") if draft == 2020 else None
    found: list[tuple[Any, bool]] = [(dynamic, True)] if _is_plain(dynamic) else []
    if _is_plain(static) and static != dynamic:
        found.append((static, False))
    return found


def _is_plain(name: Any) -> bool:
    """Whether a fragment can be an anchor: "" is the whole resource, and "/" begins a pointer."""
    return isinstance(name, str) and name[:1] not in ("", "/")


def _anchor_shown(name: str, draft: int) -> str:
    if draft >= 2019:
        return f'"$anchor": {_quoted(name)}'
    return f'"{_identifier_keyword(draft)}": {_quoted("#" + name)}'


def _place(draft: int, keyword: str, value: Any) -> int:
    """What the value of a schema's keyword is; an array of schemas stands for its members."""
    place = _SUBSCHEMAS[draft].get(keyword, _DATA)
    return _SCHEMAS if place == _SCHEMA and isinstance(value, list) else place


def _subschemas(schema: dict[str, Any], draft: int) -> Iterable[tuple[Any, str]]:
    """The objects and arrays that stand where subschemas do, and the way to each, as the rest of a JSON pointer."""
    places = _SUBSCHEMAS[draft]
    for keyword, value in schema.items():
        place = places.get(keyword)
        if place is None:
            continue
        if isinstance(value, list):
            yield from ((sub, f"{keyword}/{i}") for i, sub in enumerate(value))
        elif place == _SCHEMA:
            yield value, keyword
        elif isinstance(value, dict):
            for name, sub in value.items():
                yield sub, f"{keyword}/{_escaped(str(name))}"


def _uri_of_root(root: Any, draft: int) -> str:
    """The root's URI without a fragment. Where the draft's own keyword gives none, RFC 3986 (5.1.4) leaves it to us:
    then it is what another draft's keyword says."""
    if isinstance(root, dict):
        for keyword in (_identifier_keyword(draft), "$id", "id"):
            identifier = root.get(keyword)
            if isinstance(identifier, str) and identifier:
                return resolve_uri("", identifier.partition("#")[0])
    return ""


def _metaschema(uri: str) -> Mapping[str, Any] | None:
    """An official metaschema or vocabulary, None if the URI names none of drafts 4 to 2020-12."""
    if "//json-schema.org/draft" not in uri or "draft-03" in uri:
        return None
    from jsonschema_specifications import REGISTRY  # 25 ms, and rarely needed

    resource = REGISTRY.get(uri)
    return resource.contents if resource is not None else None


# ------------------------------------------------------------------------------------------------ texts


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def _is_index(key: str) -> bool:
    """Whether a step of a JSON pointer is an index of an array (RFC 6901, section 4) that any array could have."""
    return key.isascii() and key.isdecimal() and len(key) < 12 and (key == "0" or key[0] != "0")


def _shown(pointer: str) -> str:
    return pointer or "the root"


def _quoted(text: str) -> str:
    """A string as JSON, such that it can be printed: lone surrogates cannot."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _nowhere(key: str, at: Any, pointer: str) -> str:
    message = f"leads nowhere: there is no {key!r} in {_shown(pointer)}"
    if isinstance(at, list):
        return f"{message}, an array of {len(at)}"
    if not isinstance(at, dict):
        return f"{message}, which has no members"
    names = ", ".join(repr(name) for name in list(at)[:_SHOWN])
    return f"{message}, which has {names or 'no members'}{', …' if len(at) > _SHOWN else ''}"


# RFC 3986, appendix B, with the scheme as section 3.1 defines it: any string matches.
_URI = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?\Z", re.DOTALL)


def resolve_uri(base: str, reference: str) -> str:
    """The URI that a reference names relative to a base (RFC 3986, section 5.2), for schemes of any name.

    `urllib.parse.urljoin` knows a list of schemes, and leaves references alone under every other base.
    """
    scheme, authority, path, query, fragment = _parts(reference)
    if scheme is None:
        scheme, base_authority, base_path, base_query, _ = _parts(base)
        if authority is None:
            authority = base_authority
            if not path:
                path = base_path
                query = base_query if query is None else query
            elif not path.startswith("/"):
                rooted = base_authority is not None and not base_path
                path = "/" + path if rooted else base_path[: base_path.rfind("/") + 1] + path
    path = _without_dots(path)
    return "".join((
        f"{scheme}:" if scheme is not None else "",
        f"//{authority}" if authority is not None else "",
        path,
        f"?{query}" if query is not None else "",
        f"#{fragment}" if fragment is not None else "",
    ))  # fmt: skip


def _parts(uri: str) -> tuple[str | None, str | None, str, str | None, str | None]:
    found = _URI.match(uri)
    assert found is not None, "the expression matches every string"
    scheme, authority, path, query, fragment = found.groups()
    return scheme, authority, path, query, fragment


def _without_dots(path: str) -> str:
    """A path without "." and ".." (RFC 3986, section 5.2.4)."""
    if "." not in path:
        return path
    segments = path.split("/")
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            if len(kept) > path.startswith("/"):
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)
