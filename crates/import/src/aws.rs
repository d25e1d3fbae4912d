//! `credentials` and `config` of the AWS command line, as its own reader (Python's `configparser`, without interpolation) has them.

use crate::{
    error::ImportError,
    model::{Built, Format, Import, Kind, MAX_FIELDS, MAX_ROWS, text},
    source,
};

struct Section<'a> {
    line: usize,
    name: &'a str,
    // Names in small letters: `configparser` knows no other.
    values: Vec<(String, String)>,
}

/// Reads a file.
///
/// # Errors
/// With the line that is neither a section nor a value.
pub(crate) fn read(bytes: &[u8]) -> Result<Import, ImportError> {
    let source = source::text(bytes, Format::Aws)?;
    let mut import = Import::new(Format::Aws);
    for section in sections(source)? {
        let place = format!("line {}", section.line);
        let profile = section
            .name
            .strip_prefix("profile ")
            .unwrap_or(section.name)
            .trim();
        if section
            .values
            .iter()
            .any(|(name, _)| name.starts_with("aws_"))
        {
            import.item(place, item(profile, &section));
        } else {
            let words = "There is no key in it, only settings; they stay in the file.";
            import.left(place, section.name, words, !section.values.is_empty());
        }
    }
    Ok(import)
}

fn item(profile: &str, section: &Section<'_>) -> Built {
    let mut built = Built::new(&format!("aws {profile}"), Kind::ApiKey);
    built.proposal.tags.push("aws".to_owned());
    for (name, value) in &section.values {
        let (label, secret) = match name.as_str() {
            "aws_access_key_id" => ("api-key", false),
            "aws_secret_access_key" => ("secret", true),
            "aws_session_token" | "aws_security_token" => ("session-token", true),
            "region" | "output" | "role_arn" | "source_profile" | "mfa_serial"
            | "sso_start_url" | "sso_region" | "sso_account_id" | "sso_role_name" => {
                (name.as_str(), false)
            }
            _ => (name.as_str(), true),
        };
        built.add(label, secret, text(value), None);
    }
    built
}

fn sections(source: &str) -> Result<Vec<Section<'_>>, ImportError> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let wrong = |what| ImportError::Malformed {
            format: Format::Aws,
            line: number + 1,
            what,
        };
        let plain = line.trim();
        if plain.is_empty() || plain.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = plain.strip_prefix('[') {
            let name = name.split_once(']').map(|(name, _)| name.trim());
            let name = name
                .filter(|name| !name.is_empty())
                .ok_or_else(|| wrong("the name of a profile does not end"))?;
            if sections.iter().any(|known| known.name == name) {
                return Err(wrong("a profile stands twice in the file"));
            }
            sections.push(Section {
                line: number + 1,
                name,
                values: Vec::new(),
            });
        } else {
            let section = sections
                .last_mut()
                .ok_or_else(|| wrong("a value stands before the first profile"))?;
            add(section, line).map_err(wrong)?;
        }
        if sections.len() > MAX_ROWS {
            return Err(ImportError::TooLarge {
                what: "a file of this many profiles",
                limit: MAX_ROWS,
            });
        }
    }
    Ok(sections)
}

fn add(section: &mut Section<'_>, line: &str) -> Result<(), &'static str> {
    // A line that is indented goes on with the value above it: `s3 =` has values of its own.
    if line.starts_with([' ', '\t']) {
        let (_, value) = section
            .values
            .last_mut()
            .ok_or("a line goes on with nothing")?;
        value.push('\n');
        value.push_str(line.trim());
        return Ok(());
    }
    let at = line
        .find(['=', ':'])
        .ok_or("a line is neither a profile nor `name = value`")?;
    let name = line.get(..at).unwrap_or_default().trim().to_lowercase();
    if section.values.len() == MAX_FIELDS {
        return Err("a profile has too many values");
    }
    if section.values.iter().any(|(known, _)| *known == name) {
        return Err("a name stands twice in one profile");
    }
    let value = line.get(at + 1..).unwrap_or_default().trim();
    section.values.push((name, value.to_owned()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_with_a_key_is_an_item() {
        let source = "[default]\nAWS_ACCESS_KEY_ID = AKIA\naws_Secret_access_key=s/+=\n\n# x\n[profile dev]\nregion = eu\ns3 =\n  max = 1\n[profile old]\naws_session_token = t\nodd = v\n";
        let import = read(source.as_bytes()).unwrap();
        assert_eq!(import.items[0].name, "aws default");
        assert_eq!(*import.items[0].field("secret").unwrap().value, "s/+=");
        assert_eq!(*import.items[0].field("api-key").unwrap().value, "AKIA");
        assert!(import.rows[1].outcome.as_ref().unwrap_err().loses);
        assert!(import.items[1].field("odd").unwrap().secret);
    }

    #[test]
    fn a_bad_line_is_named_without_its_words() {
        let error = read(b"[a]\nhunter2\n").err().unwrap().to_string();
        assert_eq!(
            error,
            "line 2: a line is neither a profile nor `name = value` (aws)"
        );
    }
}
