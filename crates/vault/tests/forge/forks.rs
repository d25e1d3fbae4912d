//! Chains that went on in two ways from the last link of `vault-1`: which of them may stand in one file.

use std::collections::BTreeMap;

use touchkeep_container::tar;

use super::{
    Case,
    signed::{Forge, ID, OTHER},
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
        cases
            .map(|(name, expected, branches)| {
                let name = format!("two branches: {name}");
                Case::new(&name, self.fork(&branches), Some(expected))
            })
            .collect()
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
