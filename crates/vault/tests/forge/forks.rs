//! Chains that went on in two ways from the last link of `vault-1`: which of them may stand in one file.

use std::collections::BTreeMap;

use touchkeep_container::{Hash, tar};

use super::{
    Case,
    signed::{ED25519, Forge, ID, OTHER},
};

impl Forge {
    /// Two links on one, each with a commit that knows it.
    pub(crate) fn forks(&self) -> Vec<Case> {
        let (one, other) = (format!("user {ID}"), format!("user {OTHER}"));
        let epoch = |recipient: &str| format!("recipient environment ENV 2 {recipient}");
        let environment = |id: &str, recipient: &str| {
            let stated = format!("environment {id}");
            vec![stated, format!("recipient environment {id} 1 {recipient}")]
        };
        let cases: Vec<(&str, bool, [Vec<String>; 2])> = vec![
            ("users", true, [vec![one.clone()], vec![other.clone()]]),
            (
                "a new epoch in one",
                false,
                [vec![epoch("age1a")], vec![one]],
            ),
            (
                "a new epoch in each",
                false,
                [vec![epoch("age1a")], vec![epoch("age1b")]],
            ),
            (
                "the same epoch in each",
                true,
                [vec![epoch("age1a")], vec![epoch("age1a"), other]],
            ),
            (
                "an environment in each",
                true,
                [environment(ID, "age1a"), environment(OTHER, "age1b")],
            ),
            (
                "one environment in both with a key each",
                false,
                [environment(ID, "age1a"), environment(ID, "age1b")],
            ),
        ];
        let cases = cases.into_iter();
        let mut cases: Vec<_> = cases
            .map(|(name, expected, branches)| {
                let name = format!("two branches: {name}");
                Case::new(&name, self.fork(&branches), Some(expected))
            })
            .collect();
        cases.extend(self.joins());
        cases
    }

    // One branch that joins the other, as whoever has its device could make it: what ended his rights stays.
    fn joins(&self) -> Vec<Case> {
        let key = format!("key {ID} sign-vault ed25519 never place {ED25519} - -");
        let second = [format!("device {ID} USER software -"), key];
        let retired = [
            "retired DEVICE",
            "author USER ed25519 AUTHOR",
            "recipient user USER age1other",
            "recipient environment ENV 2 age1other",
        ];
        let retired = second.iter().cloned().chain(retired.map(str::to_owned));
        let cases: [(&str, bool, Vec<String>); 3] = [
            ("a device", true, second.to_vec()),
            ("the end of its signer's rights", false, retired.collect()),
            (
                "new keys",
                false,
                vec!["recipient environment ENV 2 age1a".into()],
            ),
        ];
        let cases = cases.into_iter();
        cases
            .map(|(name, expected, joined)| {
                Case::new(&format!("joins {name}"), self.join(&joined), Some(expected))
            })
            .collect()
    }

    fn join(&self, joined: &[String]) -> Vec<u8> {
        let statements: Vec<_> = joined.iter().map(String::as_str).collect();
        let given_up = self.signed_link(self.link_text(&statements, &|_| {}));
        let own = format!("user {OTHER}");
        let own = self.signed_link(self.link_text(&[&own], &|_| {}));
        let text = self.link_text(&[], &|lines| {
            lines[1] = "number 3".into();
            lines[2] = format!("prev {}", Hash::of(&own.1));
            lines.insert(3, format!("join {}", Hash::of(&given_up.1)));
        });
        let (name, bytes) = self.signed_link(text);
        let join = (name.replacen("m/2-", "m/3-", 1), bytes);
        // The last one is the one that the commit names.
        self.committed(vec![given_up, own, join], &[], &|_| {}, |text| {
            vec![self.author_line(text)]
        })
    }

    fn fork(&self, branches: &[Vec<String>]) -> Vec<u8> {
        let archives: Vec<_> = branches
            .iter()
            .map(|statements| {
                let statements: Vec<_> = statements.iter().map(String::as_str).collect();
                let (name, link) = self.signed_link(self.link_text(&statements, &|_| {}));
                self.adding(&name, &link)
            })
            .collect();
        let members: BTreeMap<_, _> = archives
            .iter()
            .flat_map(|archive| tar::read(archive).unwrap())
            .collect();
        tar::write(members).unwrap()
    }
}
