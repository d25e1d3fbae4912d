//! Commits on `vault-1`: right ones, and ones that no honest program would have signed.

use touchkeep_container::{Hash, MemberName, NoteSignature, VerifyKey};

use super::{
    Case,
    signed::{Edits, Forge, ID, NOTHING, OTHER, replaced},
};

impl Forge {
    /// Commits on `vault-1`, signed by its author.
    pub(crate) fn commits(&self) -> Vec<Case> {
        let mut cases = self.commits_that_add();
        cases.extend(self.commits_with_other_lines());
        cases.extend(self.commits_with_other_signatures());
        cases
    }

    fn commits_that_add(&self) -> Vec<Case> {
        let (env, user) = (&self.environment, &self.user);
        let mut cases = Vec::new();
        for (name, expected) in [
            (self.segment(1, ID), true),
            (self.segment(4_294_967_295, ID), true),
            (self.segment(4_294_967_296, ID), false),
            (self.segment(0, ID), false),
            (format!("s/{env}/01-{ID}.age"), false),
            (format!("s/{OTHER}/1-{ID}.age"), false),
            (format!("s/{env}/1-{ID}"), false),
            (format!("b/{env}/1-{ID}.age"), true),
            (format!("b/{OTHER}/1-{ID}.age"), false),
            (format!("k/{env}.1-{ID}.age"), true),
            (format!("k/{env}.2-{ID}.age"), false),
            (format!("k/{env}.0-{ID}.age"), false),
            (format!("k/{OTHER}.1-{ID}.age"), false),
            (format!("u/{user}-{ID}.age"), true),
            (format!("u/{OTHER}-{ID}.age"), false),
            (format!("d/{}-{ID}.age", self.device_id), true),
            (format!("d/{OTHER}-{ID}.age"), false),
            // The last letter of an id carries three bits only.
            (format!("t/aaaaaaaaaaaaaaaaaaaaaaaaab-{ID}.age"), false),
            (format!("t/{ID}-{ID}.age"), true),
            (format!("m/2-{NOTHING}"), false),
            (format!("h/{NOTHING}"), false),
            ("genesis2".to_owned(), false),
            ("x/y".to_owned(), false),
        ] {
            cases.push(Case::new(
                &name,
                self.adding(&name, b"bytes"),
                Some(expected),
            ));
        }
        let page = self.adding("README.txt", b"another page");
        cases.push(Case::new("another page", page, Some(true)));
        let again = self.adding("genesis", b"another");
        cases.push(Case::new("another genesis", again, Some(false)));
        for name in [
            self.name_of(|n| matches!(n, MemberName::Segment(_))),
            self.name_of(|n| matches!(n, MemberName::User { .. })),
        ] {
            let archive = self.committed(vec![], &[&name], &|_| {}, |text| {
                vec![self.author_line(text)]
            });
            cases.push(Case::new(&format!("{name} dropped"), archive, Some(true)));
        }
        let link = self.name_of(|n| matches!(n, MemberName::Membership { .. }));
        let archive = self.committed(vec![], &[&link], &|_| {}, |text| {
            vec![self.author_line(text)]
        });
        cases.push(Case::new("a link dropped", archive, Some(false)));
        cases
    }

    fn commits_with_other_lines(&self) -> Vec<Case> {
        let push = |line: String| move |lines: &mut Vec<String>| lines.push(line.clone());
        let insert =
            |at: usize, line: String| move |lines: &mut Vec<String>| lines.insert(at, line.clone());
        let (head, link) = (&self.head, &self.link);
        let genesis = Hash::of(&self.members["genesis"]).to_string();
        let hash = Hash::of(b"nobody").to_string();
        let unknown = format!("drop t/{ID}-{ID}.age {hash}");
        let first = self
            .container()
            .history()
            .commits()
            .keys()
            .next()
            .unwrap()
            .to_string();
        let (low, high) = if *head < hash {
            (head, &hash)
        } else {
            (&hash, head)
        };
        let edits: Edits = vec![
            ("nothing", true, Box::new(|_| {})),
            (
                "time 2^64-1",
                true,
                Box::new(replaced("time", "time 18446744073709551615")),
            ),
            (
                "time 2^64",
                false,
                Box::new(replaced("time", "time 18446744073709551616")),
            ),
            ("time 007", false, Box::new(replaced("time", "time 007"))),
            ("time +7", false, Box::new(replaced("time", "time +7"))),
            ("time without", false, Box::new(replaced("time", "time "))),
            (
                "other vault",
                false,
                Box::new(replaced("touchkeep", &format!("touchkeep/commit/v1 {ID}"))),
            ),
            (
                "newer",
                false,
                Box::new(replaced(
                    "touchkeep",
                    &format!("touchkeep/commit/v2 {}", self.vault.id()),
                )),
            ),
            (
                "other author",
                false,
                Box::new(replaced("author", &format!("author {ID}"))),
            ),
            (
                "genesis as members",
                false,
                Box::new(replaced("members", &format!("members {genesis}"))),
            ),
            (
                "no such members",
                false,
                Box::new(replaced("members", &format!("members {hash}"))),
            ),
            (
                "members is a commit",
                false,
                Box::new(replaced("members", &format!("members {head}"))),
            ),
            (
                "no such parent",
                false,
                Box::new(replaced("parent", &format!("parent {hash}"))),
            ),
            (
                "a link as parent",
                false,
                Box::new(replaced("parent", &format!("parent {link}"))),
            ),
            ("no parent", false, Box::new(|lines| drop(lines.remove(3)))),
            (
                "parent twice",
                false,
                Box::new(insert(3, format!("parent {head}"))),
            ),
            (
                "parents out of order",
                false,
                Box::new({
                    let lines = [format!("parent {high}"), format!("parent {low}")];
                    move |text| drop(text.splice(3..4, lines.clone()))
                }),
            ),
            (
                "a grandparent too",
                first <= *head,
                Box::new({
                    let parent = format!("parent {first}");
                    let is_first = first == *head;
                    move |text| {
                        if !is_first {
                            text.insert(3, parent.clone())
                        }
                    }
                }),
            ),
            (
                "live one more",
                false,
                Box::new(replaced("live", &format!("live 99 {hash}"))),
            ),
            (
                "live 2^32",
                false,
                Box::new(replaced("live", &format!("live 4294967296 {hash}"))),
            ),
            (
                "a log",
                true,
                Box::new(replaced(
                    "audit",
                    &format!("audit {ID} 18446744073709551615 {hash}"),
                )),
            ),
            (
                "an empty log",
                true,
                Box::new(replaced("audit", &format!("audit {ID} 0 {hash}"))),
            ),
            (
                "rows of no log",
                false,
                Box::new(replaced("audit", &format!("audit - 1 {NOTHING}"))),
            ),
            (
                "a root of no log",
                false,
                Box::new(replaced("audit", &format!("audit - 0 {hash}"))),
            ),
            (
                "upper case",
                false,
                Box::new(replaced(
                    "audit",
                    &format!("audit - 0 {}", NOTHING.to_uppercase()),
                )),
            ),
            ("a line more", false, Box::new(push("note hello".into()))),
            ("an empty line more", false, Box::new(push(String::new()))),
            (
                "drops what never was",
                true,
                Box::new(push(unknown.clone())),
            ),
            (
                "drops twice",
                false,
                Box::new({
                    let unknown = unknown.clone();
                    move |text| text.extend([unknown.clone(), unknown.clone()])
                }),
            ),
            (
                "drops a commit",
                false,
                Box::new(push(format!("drop c/{head} {head}"))),
            ),
            (
                "drops an unknown name",
                false,
                Box::new(push(format!("drop x/{head} {head}"))),
            ),
            (
                "drops a link that never was",
                true,
                Box::new(push(format!("drop m/9-{hash} {hash}"))),
            ),
            (
                "drops a link of another hash",
                false,
                Box::new(push(format!("drop m/9-{hash} {NOTHING}"))),
            ),
            (
                "drops a list of another hash",
                false,
                Box::new(push(format!("drop h/{hash} {NOTHING}"))),
            ),
            (
                "drop before add",
                false,
                Box::new({
                    let unknown = unknown.clone();
                    move |text| text.insert(7, unknown.clone())
                }),
            ),
            (
                "add twice",
                false,
                Box::new(|text| text.push(text[7].clone())),
            ),
            (
                "carriage return",
                false,
                Box::new(|text| text[6].push('\r')),
            ),
            (
                "blank at the end",
                false,
                Box::new(|text| text[6].push(' ')),
            ),
        ];
        let cases = edits.into_iter();
        cases
            .map(|(name, expected, edit)| Case::new(name, self.edited(&*edit), Some(expected)))
            .collect()
    }

    fn commits_with_other_signatures(&self) -> Vec<Case> {
        let key = VerifyKey::ed25519(self.user.clone(), self.vault.author_public_key()).unwrap();
        let stranger = VerifyKey::ed25519("stranger", [7; 32]).unwrap();
        let named = VerifyKey::ed25519(self.user.clone(), [7; 32]).unwrap();
        let own = |text: &str| self.author_line(text);
        let wrong = NoteSignature::new(&key, vec![1; 64]);
        let of_others = NoteSignature::new(&stranger, vec![1; 64]);
        let of_named = NoteSignature::new(&named, vec![1; 64]);
        let long = NoteSignature::new(&stranger, vec![1; 8193]);
        let odd = |name: &str| NoteSignature {
            name: name.to_owned(),
            ..of_others.clone()
        };
        type Lines<'a> = Box<dyn Fn(&str) -> Vec<NoteSignature> + 'a>;
        let lists: Vec<(&str, bool, Lines<'_>)> = vec![
            ("twice", true, Box::new(|text| vec![own(text), own(text)])),
            (
                "a stranger's too",
                true,
                Box::new(|text| vec![of_others.clone(), own(text)]),
            ),
            (
                "another key of the name",
                true,
                Box::new(|text| vec![own(text), of_named.clone()]),
            ),
            (
                "a wrong one too",
                false,
                Box::new(|text| vec![own(text), wrong.clone()]),
            ),
            (
                "a wrong one first",
                false,
                Box::new(|text| vec![wrong.clone(), own(text)]),
            ),
            (
                "the device's",
                false,
                Box::new(|text| vec![self.device_line(text)]),
            ),
            (
                "a stranger's alone",
                false,
                Box::new(|_| vec![of_others.clone()]),
            ),
            ("none", false, Box::new(|_| vec![])),
            ("64", true, Box::new(|text| vec![own(text); 64])),
            ("65", false, Box::new(|text| vec![own(text); 65])),
            (
                "a long one",
                false,
                Box::new(|text| vec![own(text), long.clone()]),
            ),
            (
                "a name with a plus",
                false,
                Box::new(|text| vec![own(text), odd("a+b")]),
            ),
            (
                "a name with a blank",
                false,
                Box::new(|text| vec![own(text), odd("a\u{a0}b")]),
            ),
            (
                "a name with a control",
                false,
                Box::new(|text| vec![own(text), odd("a\u{9b}b")]),
            ),
            (
                "a name of umlauts",
                true,
                Box::new(|text| vec![own(text), odd("äö")]),
            ),
        ];
        let adds = || vec![(self.segment(1, ID), b"not age".to_vec())];
        let cases = lists.into_iter();
        cases
            .map(|(name, expected, lines)| {
                let archive = self.committed(adds(), &[], &|_| {}, lines);
                Case::new(&format!("signatures: {name}"), archive, Some(expected))
            })
            .collect()
    }
}
