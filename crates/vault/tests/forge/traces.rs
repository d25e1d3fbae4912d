//! Lists of traces on `vault-1`.

use touchkeep_container::{Hash, tar};

use super::{
    Case,
    signed::{Forge, ID},
};

impl Forge {
    /// A list that knows of more added by the first commit than the commit says, in the place of the whole commits; and what it
    /// knows of.
    pub(crate) fn inflated(&self) -> Vec<u8> {
        let history = self.container().history();
        let head = history.heads()[0];
        let second = history.commits()[&head].parents[0];
        let first = history.commits()[&second].parents[0];
        let sealed = format!("t/{ID}-{ID}.age");
        let mut lines = vec![format!("touchkeep/past/v1 {}", self.vault.id())];
        for (commit, parent) in [(first, Some("parent -")), (second, None)] {
            lines.push(format!("commit {commit}"));
            lines.extend(parent.map(str::to_owned));
            let added = &history.commits()[&commit].added;
            let mut added: Vec<_> = added.iter().map(|(n, h)| format!("add {n} {h}")).collect();
            if commit == first {
                added.push(format!("add {sealed} {}", Hash::of(b"bytes")));
                added.sort();
            }
            lines.extend(added);
        }
        let list = (lines.join("\n") + "\n").into_bytes();
        let name = format!("h/{}", Hash::of(&list));
        // What the list says was added is live, though no commit adds it.
        let with = vec![
            (name.clone(), list.clone()),
            (sealed.clone(), b"bytes".to_vec()),
        ];
        let leave_out = |lines: &mut Vec<String>| {
            lines.retain(|line| !line.starts_with(&format!("add {sealed}")))
        };
        let archive = self.committed(with, &[], &leave_out, |text| vec![self.author_line(text)]);
        let mut members = tar::read(&archive).unwrap();
        members.retain(|(name, _)| *name != format!("c/{first}") && *name != format!("c/{second}"));
        tar::write(members).unwrap()
    }

    /// Lists of traces on `vault-1`: the first two of its three commits are folded, well and badly.
    pub(crate) fn traces(&self) -> Vec<Case> {
        let history = self.container().history();
        let head = history.heads()[0];
        let second = history.commits()[&head].parents[0];
        let first = history.commits()[&second].parents[0];
        let adds = |hash: Hash| -> Vec<String> {
            let added = &history.commits()[&hash].added;
            added
                .iter()
                .map(|(name, hash)| format!("add {name} {hash}"))
                .collect()
        };
        let header = format!("touchkeep/past/v1 {}", self.vault.id());
        let root = [
            vec![format!("commit {first}"), "parent -".into()],
            adds(first),
        ]
        .concat();
        let next = [vec![format!("commit {second}")], adds(second)].concat();
        let more = format!("add t/{ID}-{ID}.age {}", Hash::of(b"bytes"));
        let hash = Hash::of(b"nobody").to_string();
        let both = [vec![header.clone()], root.clone(), next.clone()].concat();
        let lists: Vec<(&str, Option<bool>, bool, Vec<String>)> = vec![
            ("both", Some(true), true, both.clone()),
            ("both, and whole", Some(false), false, both.clone()),
            (
                "the first alone",
                None,
                true,
                [vec![header.clone()], root.clone()].concat(),
            ),
            ("none", None, false, vec![header.clone()]),
            (
                "child first",
                None,
                true,
                [
                    vec![
                        header.clone(),
                        format!("commit {second}"),
                        format!("parent {first}"),
                    ],
                    adds(second),
                    root.clone(),
                ]
                .concat(),
            ),
            (
                "the parent said",
                Some(false),
                true,
                [
                    vec![header.clone()],
                    root.clone(),
                    vec![format!("commit {second}"), format!("parent {first}")],
                    adds(second),
                ]
                .concat(),
            ),
            (
                "no parent said",
                Some(false),
                true,
                [
                    vec![header.clone()],
                    root.clone(),
                    vec![format!("commit {second}"), "parent -".into()],
                    adds(second),
                ]
                .concat(),
            ),
            (
                "a circle",
                Some(false),
                true,
                [
                    vec![
                        header.clone(),
                        format!("commit {first}"),
                        format!("parent {second}"),
                    ],
                    adds(first),
                    next.clone(),
                ]
                .concat(),
            ),
            (
                "a commit twice",
                Some(false),
                true,
                [vec![header.clone()], root.clone(), root.clone()].concat(),
            ),
            (
                "an unknown parent",
                Some(false),
                true,
                [
                    vec![
                        header.clone(),
                        format!("commit {first}"),
                        format!("parent {hash}"),
                    ],
                    adds(first),
                    next.clone(),
                ]
                .concat(),
            ),
            (
                "the first without a parent",
                Some(false),
                true,
                [
                    vec![header.clone(), format!("commit {first}")],
                    adds(first),
                    next.clone(),
                ]
                .concat(),
            ),
            (
                "another vault",
                Some(false),
                true,
                [
                    vec![format!("touchkeep/past/v1 {ID}")],
                    root.clone(),
                    next.clone(),
                ]
                .concat(),
            ),
            (
                "more than was added",
                None,
                false,
                [both.clone(), vec![more]].concat(),
            ),
            (
                "a commit that never was",
                None,
                true,
                [both.clone(), vec![format!("commit {hash}")]].concat(),
            ),
            (
                "a line more",
                Some(false),
                true,
                [both.clone(), vec!["note".into()]].concat(),
            ),
        ];
        let mut cases = Vec::new();
        for (name, expected, folds, lines) in lists {
            let text = lines.join("\n") + "\n";
            let list = format!("h/{}", Hash::of(text.as_bytes()));
            let archive = self.adding(&list, text.as_bytes());
            let mut members = tar::read(&archive).unwrap();
            if folds {
                let told = lines.iter().filter_map(|line| line.strip_prefix("commit "));
                let told: Vec<_> = told.map(|commit| format!("c/{commit}")).collect();
                members.retain(|(name, _)| !told.iter().any(|told| told == name));
            }
            let archive = tar::write(members).unwrap();
            cases.push(Case::new(&format!("traces: {name}"), archive, expected));
        }
        cases
    }
}
