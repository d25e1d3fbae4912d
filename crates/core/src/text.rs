//! Text from outside, made fit to be shown: a name or an address that a stranger chose must not be able to move the
//! cursor, hide a character or look like another one.

/// Shows `text` on one line, every character visible. Control, bidirectional, zero-width, combining and other format
/// characters become `\u{…}`, a backslash becomes `\\`; so different texts are never shown as the same text (the map is
/// injective), and what is shown can be read back. Letters that merely look alike stay, and so do the signs that people write
/// with: see [`has_lookalikes`].
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            _ if is_letter_of_one_shape(c) || is_sign_of_one_shape(c) => out.push(c),
            _ => out.extend(c.escape_unicode()),
        }
    }
    out
}

/// A name in a sentence: in quotes, each character as [`visible`] shows it and not escaped a second time.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", visible(text))
}

/// The same as [`visible`] with nothing but ASCII, for what nobody compares safely by its look: addresses, tags and networks.
#[must_use]
pub fn visible_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out
}

/// A name as a shell takes it, for a command that is to be typed: in quotes where it has to be.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let shown = visible(text);
    let is_plain = |c: char| c.is_alphanumeric() || "-_./@%+=:,".contains(c);
    if !shown.is_empty() && !shown.starts_with('-') && shown.chars().all(is_plain) {
        return shown;
    }
    format!("'{}'", text_in_quotes(text))
}

// A backslash stands for itself in quotes. What cannot be shown cannot be typed either.
fn text_in_quotes(text: &str) -> String {
    let parts: Vec<String> = text.split('\\').map(visible).collect();
    parts.join("\\").replace('\'', "'\\''")
}

/// Makes sure of a text that was made [`visible`] where it came from: what it wrote as `\u{…}` stays as it is, and what it
/// let through is escaped here.
#[must_use]
pub fn surely_visible(text: &str) -> String {
    let parts: Vec<String> = text.split('\\').map(visible).collect();
    parts.join("\\")
}

/// Whether a text holds letters outside ASCII, so that a person should look twice (`а` is not `a`).
#[must_use]
pub fn has_lookalikes(text: &str) -> bool {
    !text.is_ascii()
}

// Letters and digits of every script stay readable; `has_lookalikes` warns of them where it matters. Marks that combine,
// format characters and blanks are neither, so they are escaped.
fn is_letter_of_one_shape(c: char) -> bool {
    // Unicode counts many combining marks as alphabetic; `escape_debug` escapes those (Grapheme_Extend).
    c.is_alphanumeric()
        && c.escape_debug().len() == 1
        && !('\u{115f}'..='\u{1160}').contains(&c)
        && c != '\u{3164}'
        && c != '\u{ffa0}'
}

// What stands in names and notes beside letters: typographic marks, money, and pictures that are one character and stay as they
// are. Nothing that joins another one (modifiers of skin, letters of flags, variation selectors), nothing that lines and boxes
// are drawn with, and no sign that is another one's double (a fraction slash, a full-width full stop).
const fn is_sign_of_one_shape(c: char) -> bool {
    matches!(c,
        '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{bf}' | '\u{d7}' | '\u{f7}'
        | '\u{2013}'..='\u{2014}' | '\u{2018}'..='\u{2019}' | '\u{201c}'..='\u{201e}' | '\u{2020}'..='\u{2022}' | '\u{2026}' | '\u{2030}'
        | '\u{2039}'..='\u{203a}' | '\u{20a0}'..='\u{20bf}' | '\u{2116}' | '\u{2122}' | '\u{2190}'..='\u{2193}'
        | '\u{3001}'..='\u{3002}' | '\u{300a}'..='\u{300f}' | '\u{1f300}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6d7}' | '\u{1f90c}'..='\u{1f9ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_quotes_is_the_name_that_is_shown_elsewhere() {
        for (name, shown) in [
            ("key", "\"key\""),
            ("a \"b\"", "\"a \"b\"\""),
            ("a\\b\u{1b}", "\"a\\\\b\\u{1b}\""),
        ] {
            assert_eq!(quoted(name), shown);
            assert!(quoted(name).contains(&visible(name)));
        }
    }

    #[test]
    fn what_people_write_in_names_and_notes_stays_readable() {
        for text in [
            "🔑 main",
            "5 € – “Zoë’s” desk…",
            "₿ №1 → OKX",
            "取引、本番。",
            "100 %·½",
        ] {
            assert_eq!(visible(text), text);
        }
        // A skin, a flag, a selector, a joiner, a line, doubles of a slash and a full stop.
        for sign in [
            '\u{1f3fb}',
            '\u{1f1e9}',
            '\u{fe0f}',
            '\u{200d}',
            '\u{2500}',
            '\u{2044}',
            '\u{ff0e}',
            '\u{ad}',
            '\u{2028}',
        ] {
            assert_eq!(
                visible(&sign.to_string()),
                sign.escape_unicode().to_string()
            );
        }
    }

    #[test]
    fn a_name_is_quoted_where_a_shell_would_read_it_otherwise() {
        for (name, word) in [
            ("trade", "trade"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("$(id)", "'$(id)'"),
            ("a/b@c", "a/b@c"),
            ("-x", "'-x'"),
            ("", "''"),
            (r"a\b", r"'a\b'"),
            ("日本", "日本"),
            ("\u{202e}x", "'\\u{202e}x'"),
        ] {
            assert_eq!(shell_word(name), word);
        }
    }

    #[test]
    fn nothing_invisible_stays() {
        assert_eq!(visible("a\u{1b}[2Kb"), "a\\u{1b}[2Kb");
        assert_eq!(
            visible("bc1q\u{202e}x\u{200b}\n"),
            "bc1q\\u{202e}x\\u{200b}\\u{a}"
        );
        assert_eq!(
            visible("e\u{301}\u{3164}\u{a0}"),
            "e\\u{301}\\u{3164}\\u{a0}"
        );
        assert_eq!(visible("Zoë 取引"), "Zoë 取引");
    }

    #[test]
    fn marks_that_count_as_letters_are_escaped_too() {
        // Alphabetic by Unicode, and drawn onto the letter before them.
        for mark in ['\u{345}', '\u{5b4}', '\u{64b}', '\u{901}', '\u{e31}'] {
            assert!(mark.is_alphanumeric());
            assert_eq!(
                visible(&format!("a{mark}")),
                format!("a{}", mark.escape_unicode())
            );
        }
    }

    #[test]
    fn an_escaped_text_differs_from_its_escape() {
        assert_ne!(visible("\u{1b}"), visible("\\u{1b}"));
    }

    #[test]
    fn what_is_visible_already_stays_and_nothing_gets_through() {
        let once = visible("a\u{1b}[2K\\ \u{202e}");
        assert_eq!(surely_visible(&once), once);
        assert_eq!(surely_visible("a\u{1b}\\\n"), "a\\u{1b}\\\\u{a}");
    }

    #[test]
    fn an_address_shows_no_letter_that_looks_like_another() {
        assert_eq!(
            visible_ascii("bc1q\u{430}\u{202e}"),
            "bc1q\\u{430}\\u{202e}"
        );
    }

    #[test]
    fn lookalikes_are_seen() {
        assert!(has_lookalikes("bin\u{430}nce") && !has_lookalikes("binance"));
    }
}
