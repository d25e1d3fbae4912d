//! What is known of a venue: dated data, compiled in. A new endpoint is a line of it.
//!
//! The file of a venue says where it was read, and when; its servers; which parameter of an endpoint says what; and the
//! endpoints themselves, by method and path. A path may have places: `/v2/accounts/{id}/transactions`. What is not in the
//! table is `unknown`.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use serde::Deserialize;

use crate::{
    OperationKind, PublicKeyForm,
    beside::{Known, Path},
    said::{EACH, matches_anyhow},
};

/// What is known of a venue.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) about: About,
    // By path, then by method.
    exact: HashMap<String, Vec<(String, Endpoint)>>,
    patterns: Vec<(String, Vec<String>, Endpoint)>,
    lower: HashMap<String, HashSet<String>>,
    len: usize,
    origins: Vec<Origin>,
}

/// The head of a venue's file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    /// `Kraken`.
    pub(crate) name: String,
    /// When the data was last gone through: `2026-11-26`.
    pub(crate) date: String,
    /// Where it was read.
    pub(crate) source: String,
    /// Which classes of key the venue can tell apart.
    pub(crate) key_classes: Vec<crate::KeyClass>,
    /// Rules of keys that a holder should know, in plain words.
    #[serde(default)]
    pub(crate) key_rules: Vec<String>,
    /// In which form the venue takes the public half of a key that its holder made, where it does.
    #[serde(default)]
    pub(crate) public_key: Option<PublicKeyForm>,
    /// Where that is done there, or what is to be done instead.
    #[serde(default)]
    pub(crate) public_key_steps: Option<String>,
    /// How far a request's time may be from the venue's, in milliseconds, where that is known.
    #[serde(default)]
    pub(crate) time_window_ms: Option<u32>,
    /// The header with which a request says until when the venue may take it, in milliseconds.
    #[serde(default)]
    pub(crate) expiry_header: Option<String>,
    /// The words of a buy; one that ends in `*` is a beginning.
    #[serde(default)]
    pub(crate) buy: Vec<String>,
    /// The words of a sale.
    #[serde(default)]
    pub(crate) sell: Vec<String>,
    /// How markets and assets are written.
    #[serde(default)]
    pub(crate) case: Case,
    /// Whether paths may end in `/`.
    #[serde(default)]
    pub(crate) trailing_slash: bool,
    /// Parameters that name a market a second time, and count before its name.
    #[serde(default)]
    pub(crate) numbers_markets: Vec<String>,
    /// Parameters of orders that neither size nor multiply one nor add another to it; with any other the amount of an order
    /// is not said. In lists of orders, the names in each.
    #[serde(default)]
    pub(crate) beside: Vec<Known>,
    /// Parameters with which an order borrows what is missing.
    #[serde(default)]
    pub(crate) borrows: Vec<Known>,
}

/// The one spelling of the names of markets and assets, so that a rule about a name meets it however it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Case {
    /// In capitals.
    #[default]
    Upper,
    /// In small letters.
    Lower,
    /// The venue reads either, here: what a request says is read as its other names are written.
    Any,
    /// The venue itself tells `a` from `A`.
    Exact,
}

/// One endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) meaning: Meaning,
    pub(crate) words: String,
    /// Shared by all endpoints whose parameters say the same.
    pub(crate) shape: Option<Arc<Shape>>,
    /// What the signer needs to know of it, where there is such a thing: Backpack's instruction.
    pub(crate) tag: String,
}

/// Whether it is signed, and what it does then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Public,
    Private(OperationKind),
    /// It hands out what opens sockets or signs requests past us: it is refused, and its words say why.
    NotServed,
}

/// Which parameter says what. `a` is a parameter, `a.b` a member of one, `*` the only member; `a[].b` a member of each in a
/// list, `[].b` where the body is the list; `a|b` one of two; `{a}` a place of the path; `=a` a fixed word.
///
/// Of a list with several the market and the side are said where all say the same, and never a number: two orders of one
/// amount are not an order of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shape {
    pub(crate) symbol: Option<String>,
    pub(crate) side: Option<String>,
    pub(crate) asset: Option<String>,
    pub(crate) amount: Option<String>,
    /// An amount whose sign is the side.
    pub(crate) signed_amount: Option<String>,
    /// That amount counts contracts, in markets whose names those of another size have as well: it is none.
    pub(crate) contracts: bool,
    pub(crate) quote_amount: Option<String>,
    pub(crate) price: Option<String>,
    pub(crate) destination: Option<String>,
    /// The address that a destination, which is a name, is to be.
    pub(crate) resolved: Option<String>,
    pub(crate) destination_tag: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) client_id: Option<String>,
    /// Only then does `amount` count the base asset: `orderType=Limit,PostOnly`; all of them must hold.
    pub(crate) amount_when: Vec<String>,
    /// Only then does `quote_amount` count.
    pub(crate) quote_when: Vec<String>,
    /// Only then does `price` bound the order.
    pub(crate) price_when: Vec<String>,
    /// Parameters that take that bound away; one that ends in `*` is a beginning.
    pub(crate) price_unless: Vec<String>,
    /// Then the order borrows what is missing; all of them must hold.
    pub(crate) borrows_when: Vec<String>,
    /// The words of a buy and of a sale, where this endpoint has its own.
    pub(crate) buy: Vec<String>,
    pub(crate) sell: Vec<String>,
    /// How the markets and assets of this endpoint are written, where not as the venue writes others.
    pub(crate) case: Option<Case>,
    /// The names of all parameters that it reads, each as its last part.
    #[serde(skip)]
    pub(crate) names: Vec<String>,
    /// The same in full.
    #[serde(skip)]
    pub(crate) paths: Vec<Path>,
}

/// In place of a shape: the endpoint's parameters are known, and none says any of it in one number or word.
const SAYS_NOTHING: &str = "none";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    prefix: String,
    origin: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: About,
    origins: Vec<Origin>,
    #[serde(default)]
    shapes: HashMap<String, Shape>,
    table: Rows,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    endpoints: Vec<Vec<String>>,
}

/// The table of a venue, read once: `table!("kraken")`.
macro_rules! table {
    ($name:literal) => {{
        static TABLE: std::sync::OnceLock<$crate::table::Table> = std::sync::OnceLock::new();
        let text = include_str!(concat!("../../data/", $name, ".toml"));
        $crate::table::Table::once(&TABLE, $name, text)
    }};
}
pub(crate) use table;

impl Table {
    pub(crate) fn once(place: &'static OnceLock<Self>, name: &str, text: &str) -> &'static Self {
        #[expect(clippy::panic, reason = "compiled-in data, read by every test")]
        place.get_or_init(|| Self::read(text).unwrap_or_else(|why| panic!("data/{name}: {why}")))
    }

    /// The endpoint, and what stands in the places of its path.
    pub(crate) fn find(
        &self,
        method: &str,
        path: &str,
    ) -> Option<(&Endpoint, Vec<(String, String)>)> {
        let of_path = self.exact.get(path).map_or(&[][..], Vec::as_slice);
        if let Some((_, endpoint)) = of_path.iter().find(|(of, _)| of == method) {
            return Some((endpoint, Vec::new()));
        }
        let segments: Vec<&str> = path.split('/').collect();
        self.patterns
            .iter()
            .filter(|(of, ..)| of == method)
            .find_map(|(_, pattern, endpoint)| {
                places(pattern, &segments, |a, b| a == b).map(|places| (endpoint, places))
            })
    }

    pub(crate) fn origin(&self, path: &str) -> Option<&str> {
        self.origins
            .iter()
            .filter(|origin| path.starts_with(&origin.prefix))
            .max_by_key(|origin| origin.prefix.len())
            .map(|origin| origin.origin.as_str())
    }

    // Some server might not mind the case: then it would see another endpoint than we do.
    pub(crate) fn differs_only_in_case(&self, path: &str) -> bool {
        if self.exact.contains_key(path) {
            return false;
        }
        if let Some(exact) = self.lower.get(&path.to_ascii_lowercase()) {
            return !exact.contains(path);
        }
        let segments: Vec<&str> = path.split('/').collect();
        let like = |same: fn(&str, &str) -> bool| {
            let mut patterns = self.patterns.iter();
            patterns.any(|(_, pattern, _)| places(pattern, &segments, same).is_some())
        };
        like(str::eq_ignore_ascii_case) && !like(|a, b| a == b)
    }

    /// All endpoints: method, path and what they mean.
    #[cfg(test)]
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (&str, String, &Endpoint)> {
        let exact = self.exact.iter();
        let exact = exact.flat_map(|(p, of)| of.iter().map(|(m, e)| (m.as_str(), p.clone(), e)));
        let patterns = self.patterns.iter();
        exact.chain(patterns.map(|(m, p, e)| (m.as_str(), p.join("/"), e)))
    }

    /// How many endpoints it has.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut table = Self {
            about: file.about,
            exact: HashMap::new(),
            patterns: Vec::new(),
            lower: HashMap::new(),
            len: 0,
            origins: file.origins,
        };
        let shapes = file.shapes.into_iter().map(|(n, s)| (n, s.shared()));
        let mut shapes: HashMap<String, Arc<Shape>> = shapes.collect();
        let mut seen = HashSet::new();
        for row in &file.table.endpoints {
            let [method, path, kind, words, rest @ ..] = row.as_slice() else {
                return Err(format!("{row:?} is short"));
            };
            if !seen.insert((method.clone(), path.clone())) {
                return Err(format!("{method} {path} is there twice"));
            }
            let (shape, tag) = match rest {
                [] => ("", ""),
                [shape] => (shape.as_str(), ""),
                [shape, tag] => (shape.as_str(), tag.as_str()),
                _ => return Err(format!("{row:?} is long")),
            };
            let shape = match shape {
                "" | SAYS_NOTHING => None,
                said => Some(match shapes.get(said) {
                    Some(shape) => Arc::clone(shape),
                    None => {
                        let shape = Shape::in_line(said).map_err(|e| format!("{path}: {e}"))?;
                        Arc::clone(shapes.entry(said.to_owned()).or_insert(shape.shared()))
                    }
                }),
            };
            let meaning = meaning(kind).ok_or_else(|| format!("{path}: no kind {kind}"))?;
            table.len += usize::from(meaning != Meaning::NotServed);
            table.add(
                method,
                path,
                Endpoint {
                    meaning,
                    words: words.clone(),
                    shape,
                    tag: tag.to_owned(),
                },
            );
        }
        // Nothing more comes, and most paths have one method.
        for of_path in table.exact.values_mut() {
            of_path.shrink_to_fit();
        }
        // A word in a path counts before a place that would take it, as routers have it.
        table.patterns.sort_by_key(|(_, pattern, _)| {
            let whole = pattern.iter().filter(|s| s.starts_with('{')).count();
            (whole, pattern.iter().filter(|s| s.contains('{')).count())
        });
        Ok(table)
    }

    fn add(&mut self, method: &str, path: &str, endpoint: Endpoint) {
        if path.contains('{') {
            let pattern = path.split('/').map(str::to_owned).collect();
            self.patterns.push((method.to_owned(), pattern, endpoint));
            return;
        }
        self.lower
            .entry(path.to_ascii_lowercase())
            .or_default()
            .insert(path.to_owned());
        let of_path = self.exact.entry(path.to_owned()).or_default();
        of_path.push((method.to_owned(), endpoint));
    }
}

impl Endpoint {
    /// What is in no table.
    pub(crate) fn unknown() -> &'static Self {
        static UNKNOWN: OnceLock<Endpoint> = OnceLock::new();
        UNKNOWN.get_or_init(|| Self {
            meaning: Meaning::Private(OperationKind::Unknown),
            words: "unknown request".to_owned(),
            shape: None,
            tag: String::new(),
        })
    }
}

impl Shape {
    // `asset=coin amount=amount`: the shape of one endpoint, in its row.
    fn in_line(said: &str) -> Result<Self, String> {
        let mut fields = toml::Table::new();
        for field in said.split(' ') {
            let (name, of) = field.split_once('=').ok_or(format!("no shape {field}"))?;
            let of = toml::Value::String(of.to_owned());
            let of = match name.ends_with("_when") {
                true => toml::Value::Array(vec![of]),
                false => of,
            };
            if fields.insert(name.to_owned(), of).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        fields
            .try_into()
            .map_err(|e: toml::de::Error| e.to_string())
    }

    fn shared(mut self) -> Arc<Self> {
        self.paths = self.paths();
        let last = |path: &Path| path.name.rsplit('.').next().map(str::to_owned);
        self.names = self.paths.iter().filter_map(last).collect();
        Arc::new(self)
    }

    /// Where its orders stand, where those are a list: `request[].`.
    pub(crate) fn list(&self) -> Option<&str> {
        let sizes = [&self.amount, &self.signed_amount, &self.quote_amount];
        let size = sizes.into_iter().flatten().next()?;
        let (before, _) = size.split_once(EACH)?;
        size.get(..before.len() + EACH.len())
    }

    /// Whether a parameter of that name takes the bound of the price away.
    pub(crate) fn moves_price(&self, name: &str) -> bool {
        let mut moves = self.price_unless.iter();
        moves.any(|word| matches_anyhow(name, word))
    }

    fn paths(&self) -> Vec<Path> {
        let whens = [
            &self.amount_when,
            &self.quote_when,
            &self.price_when,
            &self.borrows_when,
        ];
        let whens = whens.into_iter().flatten();
        let whens = whens.flat_map(|when| when.split('|'));
        let whens = whens.filter_map(|when| when.split(['=', '!', '?']).next());
        [
            &self.symbol,
            &self.side,
            &self.asset,
            &self.amount,
            &self.signed_amount,
            &self.quote_amount,
            &self.price,
            &self.destination,
            &self.resolved,
            &self.destination_tag,
            &self.network,
            &self.client_id,
        ]
        .into_iter()
        .flatten()
        .flat_map(|name| name.split('|'))
        .filter(|name| !name.starts_with(['=', '{']))
        .chain(whens)
        .map(Path::from)
        .collect()
    }
}

fn meaning(kind: &str) -> Option<Meaning> {
    match kind {
        "public" => return Some(Meaning::Public),
        "not-served" => return Some(Meaning::NotServed),
        _ => {}
    }
    let known = OperationKind::ALL
        .into_iter()
        .find(|k| k.as_str() == kind)?;
    (known != OperationKind::Unknown).then_some(Meaning::Private(known))
}

fn places(
    pattern: &[String],
    segments: &[&str],
    same: fn(&str, &str) -> bool,
) -> Option<Vec<(String, String)>> {
    if pattern.len() != segments.len() {
        return None;
    }
    let mut found = Vec::new();
    for (part, segment) in pattern.iter().zip(segments) {
        let Some((before, rest)) = part.split_once('{') else {
            if same(part, segment) {
                continue;
            }
            return None;
        };
        let (name, after) = rest.split_once('}')?;
        let head = segment.get(..before.len())?;
        let tail_at = segment
            .len()
            .checked_sub(after.len())
            .filter(|at| *at > before.len())?;
        let (value, tail) = (segment.get(before.len()..tail_at)?, segment.get(tail_at..)?);
        if !same(before, head) || !same(after, tail) {
            return None;
        }
        found.push((name.to_owned(), value.to_owned()));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "origins = []\n[about]\nname = \"A\"\ndate = \"2026-11-26\"\nsource = \"s\"\nkey_classes = []\n\
        [table]\nendpoints = ";

    #[test]
    fn a_broken_table_is_refused() {
        assert!(Table::read(&format!("{HEAD}[[\"GET\", \"/a\", \"read\", \"a\"]]")).is_ok());
        for rows in [
            "[[\"GET\", \"/a\", \"read\", \"a\", \"asset=b asset=c\"]]",
            "[[\"GET\", \"/a\", \"read\", \"a\", \"assets=b\"]]",
            "[[\"GET\", \"/a\", \"read\"]]",
            "[[\"GET\", \"/a\", \"reed\", \"a\"]]",
            "[[\"GET\", \"/a\", \"unknown\", \"a\"]]",
            "[[\"GET\", \"/a\", \"read\", \"a\", \"nothing\"]]",
            "[[\"GET\", \"/a\", \"read\", \"a\"], [\"GET\", \"/a\", \"trade\", \"a\"]]",
        ] {
            assert!(Table::read(&format!("{HEAD}{rows}")).is_err(), "{rows}");
        }
    }

    #[test]
    fn places_of_a_path_are_read_and_words_count_before_them() {
        let table = Table::read(&format!(
            "{HEAD}[[\"GET\", \"/o/{{id}}\", \"read\", \"one\"], [\"GET\", \"/o/open\", \"read\", \"open\"], \
             [\"GET\", \"/o/client:{{id}}\", \"read\", \"client\"], [\"POST\", \"/{{a}}/x/{{b}}\", \"trade\", \"ab\"]]"
        ))
        .unwrap();
        let words = |method: &str, path: &str| {
            table
                .find(method, path)
                .map(|(e, places)| (e.words.clone(), places))
        };
        assert_eq!(words("GET", "/o/open").unwrap().0, "open");
        assert_eq!(words("GET", "/o/7").unwrap().1, [("id".into(), "7".into())]);
        assert_eq!(words("GET", "/o/"), None);
        assert_eq!(words("POST", "/1/x/2").unwrap().1.len(), 2);
        assert_eq!(words("POST", "/1/X/2"), None);
        assert!(table.differs_only_in_case("/1/X/2"));
        assert!(table.differs_only_in_case("/O/7"));
        assert!(!table.differs_only_in_case("/o/ABC"));
    }
}
