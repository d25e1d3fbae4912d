"""What the scripts beside this one share: the practice venue's web site, and comparisons that say what differed."""

import json
import urllib.request

ADDRESS = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
ALL = ["read", "trade", "withdraw"]


def site(control, method, path, form=None):
    """Asks the venue's web site."""
    data = None if form is None else json.dumps(form).encode()
    request = urllib.request.Request(control + path, method=method, data=data)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def new_key(control, dialect, kind, permissions=ALL, **more):
    """A key of the venue: its name and, where the venue makes one, its secret."""
    form = {"label": "bot", "dialect": dialect, "type": kind, "permissions": permissions, **more}
    key = site(control, "POST", "/keys", form)
    return key["api_key"], key.get("secret")


def same(what, seen, expected):
    assert seen == expected, f"{what}: {seen!r}, expected {expected!r}"


def refused(error, call, *args, **params):
    """The refusal's text; anything but this error is a failure."""
    try:
        call(*args, **params)
    except error as refusal:
        return str(refusal)
    raise AssertionError(f"{call.__name__}{args} was not refused")
