from urllib.parse import unquote
from ..automata.errors import GrammarError
class Remote(Exception): pass
class References:
    def __init__(self, root, draft):
        self.root = 0
        self._root = root
        self._known = {}
    def enter(self, schema, at):
        return at
    def pointer_of(self, reference, at):
        return unquote(reference[1:])
    def resolve(self, reference, at):
        if reference not in self._known:
            self._known[reference] = self._find(reference)
        return self._known[reference], 0
    def dynamic(self, keyword, reference, at):
        return self.resolve(reference, at)
    def _find(self, reference):
        if not reference.startswith('#') or (reference != '#' and not reference.startswith('#/')):
            raise Remote('leads out')
        at = self._root
        for part in unquote(reference[1:]).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(at, dict) and key in at:
                at = at[key]
            elif isinstance(at, list) and key.isascii() and key.isdecimal() and int(key) < len(at):
                at = at[int(key)]
            else:
                raise GrammarError(f"{reference!r} leads nowhere: there is no {key!r} on the way")
        return at
