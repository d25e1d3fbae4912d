//! What a dialog says, what it asks for, and when that is whole.

use touchkeep_wire::Question;

/// What a PIN or PUK of a card may have.
const PIN_CHARS: std::ops::RangeInclusive<usize> = 6..=8;
/// So many bytes are read at a glance.
const GLANCE: usize = 400;
/// What a recovery kit has.
const KIT_WORDS: usize = 24;

/// What a dialog says and asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) title: String,
    /// What for, in bold.
    pub(super) heading: String,
    /// What that means in full, a line each.
    pub(super) details: Vec<String>,
    pub(super) text: String,
    /// This is the last try, which wants a word of its own: what a wrong one means.
    pub(super) last_try: Option<&'static str>,
    pub(super) label: &'static str,
    pub(super) typed: Typed,
}

impl Form {
    /// Whether what it is for is more than a glance takes in.
    pub(super) fn is_long(&self) -> bool {
        !self.details.is_empty() || self.heading.len() > GLANCE
    }
}

/// What is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typed {
    /// A PIN, PUK or passphrase that exists. How long it is is its own affair.
    Known,
    /// A PIN or PUK for a card.
    NewPin,
    /// A passphrase, of at least so many characters.
    NewPassphrase(usize),
    /// A recovery kit's words.
    Words,
}

/// What stands in an entry, as far as it is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) chars: usize,
    pub(super) words: usize,
}

impl Typed {
    /// Typed twice, because it is new.
    pub(super) const fn is_new(self) -> bool {
        matches!(self, Self::NewPin | Self::NewPassphrase(_))
    }

    /// Whether it may be sent.
    pub(super) fn is_whole(self, Count { chars, words }: Count) -> bool {
        match self {
            Self::Known => chars > 0,
            Self::NewPin => PIN_CHARS.contains(&chars),
            Self::NewPassphrase(least) => chars >= least.max(1),
            Self::Words => words == KIT_WORDS,
        }
    }

    /// How far it is, in words; empty where there is nothing to say.
    pub(super) fn progress(self, count: Count) -> String {
        let Count { chars, words } = count;
        match self {
            Self::NewPin | Self::NewPassphrase(_) if chars == 0 => String::new(),
            Self::NewPin if chars > *PIN_CHARS.end() => {
                format!("{chars} characters, of at most {}", PIN_CHARS.end())
            }
            Self::NewPin if !self.is_whole(count) => {
                format!("{chars} characters, of at least {}", PIN_CHARS.start())
            }
            Self::NewPassphrase(least @ 2..) if chars < least => {
                format!("{chars} characters, of at least {least}")
            }
            Self::Words => format!("{words} of {KIT_WORDS} words"),
            Self::Known | Self::NewPin | Self::NewPassphrase(_) => String::new(),
        }
    }
}

/// The dialog for a question; none where it has another window.
pub(super) fn form(question: &Question) -> Option<Form> {
    let form = match question {
        Question::Pin {
            device,
            why,
            tries_left,
        } => {
            let wrong = "One try is left. A wrong PIN blocks the device.";
            with_tries("PIN", why, device, *tries_left, wrong)
        }
        Question::Puk {
            device,
            why,
            tries_left,
        } => {
            let wrong =
                "One try is left. A wrong PUK leaves only a reset, which destroys its keys.";
            with_tries("PUK", why, device, *tries_left, wrong)
        }
        Question::NewPin { device, which } => Form {
            title: format!("New {which}"),
            text: format!("For {device}: 6 to 8 characters. Write it down where your key is not."),
            label: "New",
            typed: Typed::NewPin,
            ..plain(&format!("Choose a new {which}"))
        },
        Question::Passphrase { why } => plain(why),
        Question::Words { device, why } => Form {
            title: "Words of the recovery kit".to_owned(),
            text: format!("{device}: its 24 words in their order, with a blank between them."),
            label: "Words",
            typed: Typed::Words,
            ..plain(why)
        },
        Question::NewPassphrase { least } => new_passphrase(*least as usize),
        Question::Approval(_) | Question::Use(_) | Question::Touch { .. } => return None,
    };
    Some(form)
}

// For a passphrase, where nothing else is said.
fn plain(why: &str) -> Form {
    let mut lines = why.lines().map(str::to_owned);
    Form {
        title: "Passphrase".to_owned(),
        heading: lines.next().unwrap_or_default(),
        details: lines.collect(),
        text: String::new(),
        last_try: None,
        label: "Passphrase",
        typed: Typed::Known,
    }
}

fn with_tries(
    which: &'static str,
    why: &str,
    device: &str,
    tries_left: Option<u8>,
    wrong: &'static str,
) -> Form {
    let text = match tries_left {
        None | Some(1) => device.to_owned(),
        Some(tries) => format!("{device}\n{tries} tries are left."),
    };
    Form {
        title: which.to_owned(),
        text,
        last_try: (tries_left == Some(1)).then_some(wrong),
        label: which,
        ..plain(why)
    }
}

fn new_passphrase(least: usize) -> Form {
    let of = match least {
        0 | 1 => String::new(),
        least => format!(", {least} characters or more"),
    };
    Form {
        title: "New passphrase".to_owned(),
        text: format!(
            "Whoever has the file and the passphrase has everything in it: take five or more random words{of}."
        ),
        typed: Typed::NewPassphrase(least),
        ..plain("Choose a passphrase for the vault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(chars: usize, words: usize) -> Count {
        Count { chars, words }
    }

    #[test]
    fn the_last_try_wants_a_word_of_its_own() {
        let pin = |tries_left| {
            form(&Question::Pin {
                device: "YubiKey 1".into(),
                why: "Unlock the vault".into(),
                tries_left,
            })
            .unwrap()
        };
        assert!(pin(Some(1)).last_try.unwrap().contains("One try is left"));
        assert_eq!(pin(Some(1)).text, "YubiKey 1");
        assert!(pin(Some(3)).last_try.is_none() && pin(Some(3)).text.contains("3 tries are left"));
        let none = pin(None);
        assert_eq!(
            (none.heading.as_str(), none.text.as_str()),
            ("Unlock the vault", "YubiKey 1")
        );
    }

    #[test]
    fn what_is_new_is_typed_twice_and_only_where_it_is_long_enough() {
        let new_pin = Question::NewPin {
            device: "YubiKey 1".into(),
            which: "PUK".into(),
        };
        let new_pin = form(&new_pin).unwrap();
        assert!(new_pin.typed.is_new() && new_pin.heading.contains("PUK"));
        for (chars, is_whole) in [(0, false), (5, false), (6, true), (8, true), (9, false)] {
            assert_eq!(new_pin.typed.is_whole(count(chars, 1)), is_whole, "{chars}");
            let said = new_pin.typed.progress(count(chars, 1));
            assert_eq!(said.is_empty(), is_whole || chars == 0, "{said}");
        }
        let typed = |least| form(&Question::NewPassphrase { least }).unwrap();
        let (strict, practice) = (typed(15), typed(1));
        assert!(strict.typed.is_new() && strict.text.contains("15 characters or more"));
        assert!(!strict.typed.is_whole(count(14, 3)) && strict.typed.is_whole(count(15, 3)));
        assert_eq!(
            strict.typed.progress(count(4, 1)),
            "4 characters, of at least 15"
        );
        assert!(practice.typed.is_whole(count(1, 1)) && !practice.typed.is_whole(count(0, 0)));
        assert_eq!(practice.typed.progress(count(0, 0)), "");
        let known = form(&Question::Passphrase { why: "w".into() }).unwrap();
        assert!(!known.typed.is_new() && known.typed.is_whole(count(1, 1)));
    }

    #[test]
    fn words_are_counted_until_they_are_all_there() {
        let words = Question::Words {
            device: "Recovery kit".into(),
            why: "Replace the policy: 2 rules changed\n\"a\": action was touch and becomes allow"
                .into(),
        };
        let words = form(&words).unwrap();
        assert_eq!(words.heading, "Replace the policy: 2 rules changed");
        assert_eq!(words.details, ["\"a\": action was touch and becomes allow"]);
        assert_eq!(words.typed.progress(count(9, 2)), "2 of 24 words");
        for (so_many, is_whole) in [(23, false), (24, true), (25, false)] {
            assert_eq!(words.typed.is_whole(count(150, so_many)), is_whole);
        }
    }
}
