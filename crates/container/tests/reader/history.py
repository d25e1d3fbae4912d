"""Commits, traces, heads and what is live: section 5 of docs/formats/vault.md."""

import re

from chain import author_spki
from texts import HASH, ID, NUMBER, Note, fields, need, number, sha256, time

NOTHING = sha256(b"")
NAME = "[A-Za-z0-9._/-]{1,100}"
MEMBER = re.compile(
    rf"README\.txt|genesis|m/(?P<m>{NUMBER})-{HASH}|h/{HASH}|d/(?P<device>{ID})-{ID}\.age|u/(?P<user>{ID})-{ID}\.age"
    rf"|k/(?P<k>{ID})\.(?P<epoch>{NUMBER})-{ID}\.age|[sb]/(?P<part>{ID})/(?P<number>{NUMBER})-{ID}\.age|t/{ID}-{ID}\.age"
)


def is_member(name):
    match = MEMBER.fullmatch(name)
    return match and all(1 <= number(match[n]) for n in ("m", "epoch", "number") if match[n])


def entries(lines, verb):
    found = []
    while lines and lines[0].startswith(verb + " "):
        name, hash = fields(lines.pop(0), rf"{verb} ({NAME}) ({HASH})", verb)
        need(is_member(name), f"{verb} of {name!r}")
        need(not name[:2] in ("m/", "h/") or name.endswith(hash), f"{verb} of {name!r} with another hash")
        found.append((name, hash))
    return found


class Commit:
    def __init__(self, hash, data):
        self.hash, self.note = hash, Note(data)
        lines = list(self.note.lines)
        need(len(lines) >= 6, "commit is too short")
        (self.vault,) = fields(lines.pop(0), rf"touchkeep/commit/v1 ({ID})", "commit")
        (self.author,) = fields(lines.pop(0), rf"author ({ID})", "author")
        (self.members,) = fields(lines.pop(0), rf"members ({HASH})", "members")
        self.parents = []
        while lines and lines[0].startswith("parent "):
            self.parents += fields(lines.pop(0), rf"parent ({HASH})", "parent")
        need(len(self.parents) <= 64 and self.parents == sorted(set(self.parents)), "parents")
        need(len(lines) >= 3, "commit is cut")
        count, self.live_hash = fields(lines.pop(0), rf"live ({NUMBER}) ({HASH})", "live")
        self.live_count = number(count)
        log, rows, root = fields(lines.pop(0), rf"audit (-|{ID}) ({NUMBER}) ({HASH})", "audit")
        need(log != "-" or (time(rows), root) == (0, NOTHING), "audit of no log")
        self.time = time(*fields(lines.pop(0), rf"time ({NUMBER})", "time"))
        self.adds, self.drops = entries(lines, "add"), entries(lines, "drop")
        need(not lines, "more lines in a commit")
        names = [name for name, _ in self.adds]
        need(names == sorted(set(names)), "order of adds")
        need(self.drops == sorted(set(self.drops)), "order of drops")


class Past:
    """A list of traces."""

    def __init__(self, data):
        text = data.decode("utf-8", "replace")
        need(text.endswith("\n"), "traces without an end")
        lines = text.split("\n")[:-1]
        (self.vault,) = fields(lines.pop(0), rf"touchkeep/past/v1 ({ID})", "traces")
        self.traces, before = {}, None
        while lines:
            (hash,) = fields(lines.pop(0), rf"commit ({HASH})", "trace")
            need(hash not in self.traces, "trace twice")
            parents = []
            while lines and lines[0].startswith("parent "):
                parents += fields(lines.pop(0), rf"parent (-|{HASH})", "parent of a trace")
            if not parents:
                need(before, "first trace without parents")
                parents = [before]
            elif parents == ["-"]:
                parents = []
            else:
                need("-" not in parents and parents == sorted(set(parents)), "parents of a trace")
                need(parents != [before], "parent that is to be left out")
                need(len(parents) <= 64, "too many parents")
            adds = entries(lines, "add")
            need(adds == sorted(set(adds)) and len({n for n, _ in adds}) == len(adds), "order of adds of a trace")
            self.traces[hash] = (parents, set(adds))
            before = hash


class History:
    def __init__(self, members, chain):
        self.chain, self.members = chain, members
        self.commits, self.lists = {}, {}
        for name, data in members.items():
            hash = sha256(data)
            if name.startswith("c/"):
                need(name == "c/" + hash, f"{name} has another hash")
                self.commits[hash] = Commit(hash, data)
            elif name.startswith("h/"):
                need(name == "h/" + hash, f"{name} has another hash")
                self.lists[hash] = Past(data)
            else:
                need(is_member(name), f"no such member: {name}")
        for text in [*self.commits.values(), *self.lists.values()]:
            need(text.vault == chain.vault, "a text of another vault")
        self.parents = self.all_parents()
        self.ancestry = self.all_ancestry()
        for commit in self.commits.values():
            self.check_author(commit)
        self.check_heads()
        self.check_file()

    def all_parents(self):
        parents = {c.hash: c.parents for c in self.commits.values()}
        for past in self.lists.values():
            for hash, (theirs, _) in past.traces.items():
                need(parents.setdefault(hash, theirs) == theirs, "different parents of one commit")
        for past in self.lists.values():
            for hash in past.traces.keys() & self.commits.keys():
                need(past.traces[hash][1] <= set(self.commits[hash].adds), "a trace of more than was added")
        for theirs in parents.values():
            need(all(p in parents for p in theirs), "parent that is not in the file")
        return parents

    def all_ancestry(self):
        """Each commit with all before it; refuses circles."""
        waiting = {h: len(p) for h, p in self.parents.items()}
        children = {}
        for hash, theirs in self.parents.items():
            for parent in theirs:
                children.setdefault(parent, []).append(hash)
        ready, done = [h for h, n in waiting.items() if n == 0], {}
        while ready:
            hash = ready.pop()
            done[hash] = {hash}.union(*(done[p] for p in self.parents[hash]))
            for child in children.get(hash, ()):
                waiting[child] -= 1
                if waiting[child] == 0:
                    ready.append(child)
        need(len(done) == len(self.parents), "commits in a circle")
        self.heads = sorted(h for h in self.parents if h not in children)
        need(self.heads and all(h in self.commits for h in self.heads), "heads")
        return done

    def check_author(self, commit):
        need(commit.members in self.chain.links, "commit under an unknown link")
        there = self.chain.at[commit.members]
        need(there.roles.get(commit.author) in ("admin", "writer"), "author may not write")
        need(commit.author in there.authors, "author without a key")
        known = [(commit.author, author_spki(there.authors[commit.author]))]
        need(commit.note.signed_by(known), "commit is not signed by its author")
        for parent in commit.parents:
            if parent in self.commits:
                need(self.commits[parent].members in self.chain.reach[commit.members], "link is before a parent's")

    def adds(self, hash, lists):
        """What a commit added, as far as it and these lists know."""
        known = [self.lists[l].traces[hash][1] for l in lists if hash in self.lists[l].traces]
        if hash in self.commits:
            known.append(set(self.commits[hash].adds))
        need(known, "a commit that no list of this head tells of")
        return set.intersection(*known)

    def live(self, hashes, lists):
        added, dropped = set(), set()
        for hash in hashes:
            added |= self.adds(hash, lists)
            if hash in self.commits:
                dropped |= set(self.commits[hash].drops)
        return added - dropped

    def lists_of(self, head):
        reached = set()
        for hash in self.ancestry[head]:
            adds = set(self.commits[hash].adds if hash in self.commits else ())
            for past in self.lists.values():
                adds |= past.traces.get(hash, ((), set()))[1]
            reached |= {h for name, h in adds if name.startswith("h/") and h in self.lists}
        return reached

    def check_heads(self):
        need(len(self.heads) <= 64, "too many heads")
        links = set()
        reached = {head: self.lists_of(head) for head in self.heads}
        for head in self.heads:
            commit = self.commits[head]
            self.check_writer(commit)
            live = sorted(self.live(self.ancestry[head], reached[head]))
            listing = "".join(f"{name} {hash}\n" for name, hash in live)
            need((len(live), sha256(listing.encode())) == (commit.live_count, commit.live_hash), "live list of a head")
            names = {n: h for n, h in live if n == "genesis" or n.startswith("m/")}
            need(names == self.chain.file_names(commit.members), "links of a head")
            links |= set(names.values())
        need(links == set(self.chain.links), "links that no head has")
        for hash in self.commits:
            told = [any(hash in self.lists[l].traces for l in reached[head]) for head in self.heads]
            need(not all(told), "a whole commit that is told of")

    def check_writer(self, commit):
        who = commit.author
        key = self.chain.at[commit.members].authors[who]
        may_write = lambda m: m.roles.get(who) in ("admin", "writer") and m.authors.get(who) == key
        for end in self.chain.ends:
            could = any(may_write(self.chain.at[link]) for link in self.chain.reach[end])
            need(may_write(self.chain.at[end]) or not could, "a head of who may not write any more, or not with that key")

    def check_file(self):
        live = self.live(self.parents, self.lists)
        self.live_all, expected = live, {}
        for name, hash in sorted(live):
            need(name not in expected or name == "README.txt", f"two of {name}")
            expected[name] = hash
        there = {n: sha256(d) for n, d in self.members.items() if not n.startswith("c/")}
        need(there == expected, "the file holds something else than what is live")
        known = [self.chain.at[end] for end in self.chain.ends]
        for name in there:
            need(any(is_owned(MEMBER.fullmatch(name), m) for m in known), f"owner of {name}")

    def adder(self, name):
        """The commit that adds a member of the file."""
        pair = (name, sha256(self.members[name]))
        found = [h for h in self.parents if pair in self.adds(h, self.lists)]
        return min(found)


def is_owned(name, m):
    if name["device"]:
        return name["device"] in m.devices and m.devices[name["device"]].kind == "software"
    if name["user"]:
        return name["user"] in m.roles
    if name["k"]:
        return int(name["epoch"]) <= len(m.environments.get(name["k"], ()))
    return not name["part"] or name["part"] in m.environments
