//! Which items somebody may have meant by a name that none has.
//!
//! They are named and none of them is taken instead: a secret of another item than was said is worse than none.

use touchkeep_core::{Code, text::quoted};
use touchkeep_vault::{Item, Unlocked};
use touchkeep_wire::Failure;

use crate::failure;

/// Names that are offered.
const MOST: usize = 3;

/// There is no item of that name.
pub(crate) fn no_item(vault: &Unlocked, name: &str) -> Failure {
    let fix = offered(meant(vault, name, false), "touchkeep list");
    failure::not_found("item", name, &fix)
}

/// There is none in the trash.
pub(super) fn none_in_trash(vault: &Unlocked, name: &str) -> Failure {
    let fix = offered(meant(vault, name, true), "touchkeep trash");
    let name = quoted(name);
    Failure::new(
        Code::NotFound,
        format!("There is no item {name} in the trash."),
        fix,
    )
}

fn offered(names: Vec<String>, all: &str) -> String {
    match &names[..] {
        [] => format!("Look at: {all}"),
        [names @ .., last] if !names.is_empty() => {
            format!("Did you mean {} or {last}? All: {all}", names.join(", "))
        }
        [one, ..] => format!("Did you mean {one}? All: {all}"),
    }
}

/// The names, the likeliest first, as they are to be shown: the same in other letters, then what `list` finds by it.
pub(crate) fn meant(vault: &Unlocked, name: &str, trashed: bool) -> Vec<String> {
    let mut names = Vec::new();
    let found = vault.search(name);
    for item in found.filter(|item: &&Item| item.trashed.is_some() == trashed) {
        let shown = quoted(&item.name);
        if !names.contains(&shown) {
            names.push(shown);
        }
        if names.len() == MOST {
            break;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_was_meant_is_asked_and_not_taken() {
        let offered = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned());
            super::offered(names.collect(), "touchkeep list")
        };
        assert_eq!(offered(&[]), "Look at: touchkeep list");
        assert_eq!(offered(&["a"]), "Did you mean a? All: touchkeep list");
        assert_eq!(
            offered(&["a", "b", "c"]),
            "Did you mean a, b or c? All: touchkeep list"
        );
    }
}
