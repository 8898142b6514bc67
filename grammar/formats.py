FORMATS = frozenset()
def format_note(name): return None
