//! The endpoint table: dated data, compiled in.

use std::{
    collections::{HashMap, HashSet},
    sync::OnceLock,
};

use serde::Deserialize;

use crate::OperationKind;

const TEXT: &str = include_str!("../../data/binance.toml");

/// What is known of Binance's endpoints.
#[derive(Debug)]
pub(super) struct Table {
    endpoints: HashMap<(String, String), Endpoint>,
    lower: HashMap<String, HashSet<String>>,
    origins: Vec<Origin>,
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) meaning: Meaning,
    pub(super) words: String,
    pub(super) shape: Option<Shape>,
}

/// Whether it is signed, and what it does then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Public,
    Private(OperationKind),
}

/// Which parameter says what.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shape {
    pub(super) symbol: Option<String>,
    pub(super) side: Option<String>,
    pub(super) asset: Option<String>,
    pub(super) amount: Option<String>,
    pub(super) quote_amount: Option<String>,
    pub(super) price: Option<String>,
    pub(super) destination: Option<String>,
    pub(super) destination_tag: Option<String>,
    pub(super) network: Option<String>,
    pub(super) client_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    prefix: String,
    origin: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    origins: Vec<Origin>,
    shapes: HashMap<String, Shape>,
    table: Rows,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    endpoints: Vec<Vec<String>>,
}

/// The table, read once.
pub(super) fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    #[expect(clippy::expect_used, reason = "compiled-in data, read by every test")]
    TABLE.get_or_init(|| read(TEXT).expect("data/binance.toml"))
}

impl Table {
    pub(super) fn find(&self, method: &str, path: &str) -> Option<&Endpoint> {
        self.endpoints.get(&(method.to_owned(), path.to_owned()))
    }

    pub(super) fn origin(&self, path: &str) -> Option<&str> {
        self.origins
            .iter()
            .find(|origin| path.starts_with(&origin.prefix))
            .map(|origin| origin.origin.as_str())
    }

    pub(super) fn differs_only_in_case(&self, path: &str) -> bool {
        self.lower
            .get(&path.to_ascii_lowercase())
            .is_some_and(|exact| !exact.contains(path))
    }
}

impl Shape {
    pub(super) fn names(&self) -> Vec<&str> {
        [
            &self.symbol,
            &self.side,
            &self.asset,
            &self.amount,
            &self.quote_amount,
            &self.price,
            &self.destination,
            &self.destination_tag,
            &self.network,
            &self.client_id,
        ]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect()
    }
}

fn read(text: &str) -> Result<Table, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    let mut endpoints = HashMap::new();
    let mut lower: HashMap<String, HashSet<String>> = HashMap::new();
    for row in file.table.endpoints {
        let [method, path, kind, words, shape @ ..] = row.as_slice() else {
            return Err(format!("{row:?} is short"));
        };
        let meaning = match kind.as_str() {
            "public" => Meaning::Public,
            _ => Meaning::Private(
                OperationKind::ALL
                    .into_iter()
                    .find(|k| k.as_str() == kind)
                    .ok_or_else(|| format!("{path}: no kind {kind}"))?,
            ),
        };
        let shape = match shape {
            [] => None,
            [name] => Some(
                file.shapes
                    .get(name)
                    .cloned()
                    .ok_or_else(|| format!("{path}: no shape {name}"))?,
            ),
            _ => return Err(format!("{row:?} is long")),
        };
        lower
            .entry(path.to_ascii_lowercase())
            .or_default()
            .insert(path.clone());
        let endpoint = Endpoint {
            meaning,
            words: words.clone(),
            shape,
        };
        if endpoints
            .insert((method.clone(), path.clone()), endpoint)
            .is_some()
        {
            return Err(format!("{method} {path} is there twice"));
        }
    }
    Ok(Table {
        endpoints,
        lower,
        origins: file.origins,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_a_server_and_plain_words() {
        let table = table();
        assert!(table.endpoints.len() > 700);
        for ((method, path), endpoint) in &table.endpoints {
            assert!(table.origin(path).is_some(), "{method} {path}");
            assert!(
                !endpoint.words.is_empty() && endpoint.words.is_ascii(),
                "{path}"
            );
            if endpoint.meaning == Meaning::Public {
                assert_eq!(method, "GET", "{path}");
            }
        }
    }

    #[test]
    fn a_broken_table_is_refused() {
        let head = "origins = []\n[shapes]\n[table]\nendpoints = ";
        assert!(read(&format!("{head}[[\"GET\", \"/a\", \"read\", \"a\"]]")).is_ok());
        for rows in [
            "[[\"GET\", \"/a\", \"read\"]]",
            "[[\"GET\", \"/a\", \"reed\", \"a\"]]",
            "[[\"GET\", \"/a\", \"read\", \"a\", \"nothing\"]]",
            "[[\"GET\", \"/a\", \"read\", \"a\"], [\"GET\", \"/a\", \"trade\", \"a\"]]",
        ] {
            assert!(read(&format!("{head}{rows}")).is_err(), "{rows}");
        }
    }
}
