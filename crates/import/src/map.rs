//! What a person wants otherwise: `ITEM.kind=api-key`, `*.class=read`, `ITEM.field.token=secret`.

use std::collections::{HashMap, HashSet};

use touchkeep_core::text::quoted;

use crate::model::{Import, Kind, Proposal};

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    item: String,
    change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Kind(Kind),
    Venue(String),
    Class(String),
    KeySet(String),
    Name(String),
    Field { from: String, to: String },
    Hidden { field: String, hidden: bool },
}

/// How they are written.
pub const HOW: &str = "Write ITEM.kind=KIND, ITEM.venue=VENUE, ITEM.class=CLASS, ITEM.key-set=NAME, ITEM.name=NAME, ITEM.field.OLD=NEW, ITEM.plain=FIELD or ITEM.secret=FIELD; `*` is every item.";

/// Reads one.
///
/// # Errors
/// With what is wrong with it.
pub fn parse(text: &str) -> Result<Mapping, String> {
    let (left, value) = text.split_once('=').ok_or("a mapping has no =")?;
    let (path, value) = (left.trim(), value.trim());
    if value.is_empty() {
        return Err(format!("the mapping of {} has no value", quoted(path)));
    }
    if let Some((item, from)) = path.rsplit_once(".field.") {
        let change = Change::Field {
            from: from.to_owned(),
            to: field_name(value)?,
        };
        return Ok(Mapping {
            item: item.to_owned(),
            change,
        });
    }
    let (item, what) = path.rsplit_once('.').ok_or("a mapping names no item")?;
    let change = match what {
        "kind" => Change::Kind(
            Kind::of(value).ok_or_else(|| format!("there is no kind {}", quoted(value)))?,
        ),
        "venue" => Change::Venue(value.to_owned()),
        "class" => Change::Class(value.to_owned()),
        "key-set" => Change::KeySet(value.to_owned()),
        "name" => Change::Name(value.to_owned()),
        "plain" | "secret" => Change::Hidden {
            field: value.to_owned(),
            hidden: what == "secret",
        },
        _ => return Err(format!("a mapping cannot change {}", quoted(what))),
    };
    Ok(Mapping {
        item: item.to_owned(),
        change,
    })
}

fn field_name(name: &str) -> Result<String, String> {
    if crate::names::field_name(name, |_| false) == name {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "{} is no name of a field: small letters, digits, - and _",
            quoted(name)
        ))
    }
}

/// Applies them, and then gives every item a name of its own.
///
/// # Errors
/// When one fits nothing.
pub fn apply(import: &mut Import, mappings: &[Mapping]) -> Result<(), String> {
    // Names are changed last, so that every other wish finds its item.
    let (names, others): (Vec<_>, Vec<_>) = mappings
        .iter()
        .partition(|mapping| matches!(mapping.change, Change::Name(_)));
    for mapping in others.into_iter().chain(names) {
        let mut used = false;
        for item in &mut import.items {
            if mapping.item == "*" || mapping.item == item.name {
                used |= change(item, &mapping.change)?;
            }
        }
        if !used {
            return Err(format!(
                "nothing fits the mapping of {}",
                quoted(&mapping.item)
            ));
        }
    }
    number(&mut import.items);
    Ok(())
}

fn change(item: &mut Proposal, change: &Change) -> Result<bool, String> {
    match change {
        Change::Kind(kind) => item.kind = *kind,
        Change::Venue(venue) => item.venue = Some(venue.clone()),
        Change::Class(class) => item.class = Some(class.clone()),
        Change::KeySet(name) => item.key_set = Some(name.clone()),
        Change::Name(name) => item.name.clone_from(name),
        Change::Field { from, to } => {
            if item.field(to).is_some() {
                return Err(format!("{} has a field {to} already", quoted(&item.name)));
            }
            let Some(field) = item.fields.iter_mut().find(|field| field.name == *from) else {
                return Ok(false);
            };
            field.name.clone_from(to);
            field.secret |= to == "secret";
        }
        Change::Hidden { field, hidden } => {
            let Some(field) = item.fields.iter_mut().find(|known| known.name == *field) else {
                return Ok(false);
            };
            if field.name == "secret" && !hidden {
                return Err("the field secret is always secret".to_owned());
            }
            field.secret = *hidden;
        }
    }
    Ok(true)
}

// Two of one name: the second one gets a number.
fn number(items: &mut [Proposal]) {
    let mut next: HashMap<String, u32> = HashMap::new();
    let mut used: HashSet<String> = HashSet::new();
    for item in items {
        let wanted = item.name.clone();
        let count = next.entry(wanted.clone()).or_insert(2);
        while used.contains(&item.name) {
            item.name = format!("{wanted} ({count})");
            *count += 1;
        }
        used.insert(item.name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Format, Row};

    fn import() -> Import {
        let mut import = Import::new(Format::Ccxt);
        for name in ["a.b", "a.b", "c"] {
            let mut item = Proposal::new(name, Kind::Login);
            item.fields.push(crate::model::Field {
                name: "token".to_owned(),
                secret: false,
                value: crate::model::text("v"),
                span: None,
            });
            import.items.push(item);
        }
        let _none: Vec<Row> = Vec::new();
        import
    }

    fn apply_all(texts: &[&str]) -> Result<Import, String> {
        let mut import = import();
        let mappings: Result<Vec<_>, _> = texts.iter().map(|text| parse(text)).collect();
        apply(&mut import, &mappings?)?;
        Ok(import)
    }

    #[test]
    fn wishes_are_granted_and_names_are_one_each() {
        let import = apply_all(&[
            "c.name=d",
            "*.kind=api-key",
            "c.field.token=secret",
            "a.b.venue=gate",
        ])
        .unwrap();
        let names: Vec<_> = import.items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["a.b", "a.b (2)", "d"]);
        assert!(import.items.iter().all(|item| item.kind == Kind::ApiKey));
        assert!(import.items[2].field("secret").unwrap().secret);
        assert_eq!(import.items[1].venue.as_deref(), Some("gate"));
    }

    #[test]
    fn a_wish_that_fits_nothing_is_said() {
        for bad in [
            "x.kind=note",
            "c.field.none=secret",
            "c.kind=x",
            "c.size=1",
            "kind",
            "c.plain=",
            "c.field.token=A B",
        ] {
            assert!(apply_all(&[bad]).is_err(), "{bad}");
        }
    }
}
