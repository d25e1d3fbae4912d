//! Names in rules: `*` stands for any characters.

/// Whether a name is meant by one in a rule, in which `*` stands for any characters.
#[must_use]
pub fn is_named(pattern: &str, name: &str) -> bool {
    glob(pattern, name)
}

pub(crate) fn fits(list: &Option<Vec<String>>, value: &str) -> bool {
    list.as_ref().is_none_or(|list| any_fits(list, value))
}

/// Whether a list of a rule has what a request says, under any of its names at the venue: `names` are those, or none where
/// it has but one.
pub(crate) fn has(list: &[String], value: &str, names: &[String]) -> bool {
    any_fits(list, value) || names.iter().any(|name| any_fits(list, name))
}

fn any_fits(list: &[String], value: &str) -> bool {
    list.iter().any(|pattern| glob(pattern, value))
}

// `*` for any characters, everything else for itself. Quadratic at worst, on short names.
pub(crate) fn glob(pattern: &str, value: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else {
        return false;
    };
    let Some(mut rest) = value.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            let Some(at) = rest.find(middle) else {
                return false;
            };
            rest = rest.get(at + middle.len()..).unwrap_or_default();
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_does() {
        for (pattern, value, is) in [
            ("BTCUSDT", "BTCUSDT", true),
            ("BTCUSDT", "BTCUSD", false),
            ("BTCUSD", "BTCUSDT", false),
            ("*USDT", "LTCUSDT", true),
            ("*USDT", "USDTBTC", false),
            ("BTC*", "BTCUSDT", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("**", "x", true),
            ("", "", true),
            ("b?c", "bxc", false),
            ("btc*", "BTC", false),
        ] {
            assert_eq!(glob(pattern, value), is, "{pattern} {value}");
        }
    }
}
