//! What an order says beside its market, side, amount and price: whether any of it could size, multiply or add to the order,
//! and whether the order borrows.
//!
//! # Why a list of what is harmless
//! A venue's orders have dozens of parameters, and new ones come. One that nobody here has looked at may carry further orders
//! with amounts of their own, or count instead of the amount that was read. So an amount stands only beside parameters that
//! are known to do nothing of the kind; beside any other the order says no amount, and no limit of amounts lets it pass.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{Json, Parameter, reading::Given, said::Said, table::About};

/// The path of a parameter, in which one part may be `*`: any member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// As the data writes it.
    pub(crate) name: String,
    // So that nobody looks for a star in each name for each parameter of each request.
    has_star: bool,
}

impl From<&str> for Path {
    fn from(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            has_star: name.contains('*'),
        }
    }
}

impl Path {
    fn is(&self, path: &str) -> bool {
        self.name == path || (self.has_star && fits(&self.name, path))
    }
}

/// A parameter, and which of its values is meant: `name` any, `name=a,b` these, `name!a,b` all but these.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Known {
    at: Path,
    words: Option<(bool, Vec<String>)>,
}

impl From<String> for Known {
    fn from(said: String) -> Self {
        let (name, words) = match said.split_once(['=', '!']) {
            Some((name, words)) => {
                let words = words.split(',').map(str::to_owned).collect();
                (name, Some((said.contains('='), words)))
            }
            None => (said.as_str(), None),
        };
        Self {
            at: Path::from(name),
            words,
        }
    }
}

impl Known {
    fn has(&self, path: &str, value: &str) -> bool {
        self.at.is(path) && self.means(value)
    }

    // Wherever it stands and in whatever case: where a venue does not read it, nothing is lost by a look at it.
    fn has_anywhere(&self, path: &str, value: &str) -> bool {
        let last = path.rsplit('.').next().unwrap_or(path);
        last.eq_ignore_ascii_case(&self.at.name) && self.means(value)
    }

    fn means(&self, value: &str) -> bool {
        let Some((are, words)) = &self.words else {
            return true;
        };
        words.iter().any(|word| word == value) == *are
    }
}

/// Words of ccxt's own that neither size nor add: it hands them on as they are to venues that have nothing of the kind.
const OF_CCXT: [&str; 20] = [
    "clientOrderId",
    "hedged",
    "marginMode",
    "positionSide",
    "postOnly",
    "reduceOnly",
    "stopLoss.price",
    "stopLoss.triggerPrice",
    "stopLoss.type",
    "stopLossPrice",
    "stopPrice",
    "takeProfit.price",
    "takeProfit.triggerPrice",
    "takeProfit.type",
    "takeProfitPrice",
    "timeInForce",
    "trailingAmount",
    "trailingPercent",
    "trailingTriggerPrice",
    "triggerPrice",
];

/// Whether it is such a word. Some stand beside the venue's own word for the same.
pub(crate) fn is_of_ccxt(name: &str) -> bool {
    OF_CCXT.contains(&name)
}

/// Whether an order says nothing beside what its shape reads and what the venue's data knows to be harmless.
pub(crate) fn is_known(said: &Said<'_>) -> bool {
    let shape = said.shape;
    let list = shape.list();
    let is_known = |path: &str, value: &str| {
        let inner = list.and_then(|list| path.strip_prefix(list));
        let inner = inner.unwrap_or(path);
        let mut beside = said.table.about.beside.iter();
        shape.paths.iter().any(|read| read.is(path))
            || beside.any(|known| known.has(inner, value))
            || is_of_ccxt(inner)
            || shape.moves_price(inner)
            || said.ours.iter().any(|(ours, _)| *ours == path)
    };
    all(said.query, said.body, &is_known) && !query_adds(said)
}

// Beside a body in JSON nothing is read in the query. A venue that looks there, too, would find another size.
fn query_adds(said: &Said<'_>) -> bool {
    let Given::Json(body) = said.body else {
        return false;
    };
    let in_body = |name: &str| body.member(name).and_then(Json::plain);
    let is_in_body = |p: &Parameter| in_body(&p.name) == Some(p.value.as_str());
    let is_read = |p: &Parameter| said.shape.paths.iter().any(|read| read.is(&p.name));
    !matches!(body, Json::Members(members) if members.is_empty())
        && said.query.iter().any(|p| is_read(p) && !is_in_body(p))
}

/// Whether an order borrows what it needs and is not there.
pub(crate) fn borrows(about: &About, query: &[Parameter], body: &Given) -> bool {
    let lends = |path: &str, value: &str| {
        let mut borrows = about.borrows.iter();
        borrows.any(|known| known.has_anywhere(path, value))
    };
    !about.borrows.is_empty() && !all(query, body, &|path, value| !lends(path, value))
}

fn all(query: &[Parameter], body: &Given, holds: &impl Fn(&str, &str) -> bool) -> bool {
    let of = |parameters: &[Parameter]| parameters.iter().all(|p| holds(&p.name, &p.value));
    of(query)
        && match body {
            Given::Form(form) => of(form),
            Given::Json(json) => each_value(json, &mut String::new(), holds),
        }
}

// Every value of a text that says something; `[]` stands for any place in a list.
fn each_value(json: &Json, path: &mut String, holds: &impl Fn(&str, &str) -> bool) -> bool {
    let length = path.len();
    let mut below = |add: [&str; 2], value: &Json| {
        path.extend(add);
        let known = each_value(value, path, holds);
        path.truncate(length);
        known
    };
    match json {
        Json::Members(members) if !members.is_empty() => members.iter().all(|(name, value)| {
            let dot = if length == 0 { "" } else { "." };
            below([dot, name], value)
        }),
        Json::List(values) if !values.is_empty() => values.iter().all(|one| below(["[]", ""], one)),
        Json::Null => true,
        value => {
            let plain = value
                .plain()
                .map_or_else(|| Cow::Owned(value.to_text()), Cow::Borrowed);
            plain.is_empty() || holds(path, &plain)
        }
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    let (mut parts, mut of) = (pattern.split('.'), path.split('.'));
    loop {
        match (parts.next(), of.next()) {
            (None, None) => return true,
            (Some(part), Some(one)) if part == "*" || part == one => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(said: &str) -> Known {
        Known::from(said.to_owned())
    }

    #[test]
    fn a_name_is_a_whole_path_and_may_be_bound_to_values() {
        assert!(known("timeInForce").has("timeInForce", "GTC"));
        assert!(!known("timeInForce").has("timeinforce", "GTC"));
        assert!(!known("qty").has("more.qty", "1"));
        assert!(known("more.*.qty").has("more.any.qty", "1"));
        assert!(!known("more.*.qty").has("more.any.deeper.qty", "1"));
        assert!(known("leverage=1").has("leverage", "1"));
        assert!(!known("leverage=1").has("leverage", "10"));
        assert!(known("leverage!none").has_anywhere("orders[].Leverage", "5"));
        assert!(!known("leverage!none").has_anywhere("orders[].leverage", "none"));
    }

    #[test]
    fn each_value_of_a_text_has_its_path_and_what_says_nothing_has_none() {
        let json = Json::read(
            br#"{"a":1,"b":{"c":[{"d":true},{"d":"x"}],"e":""},"f":null,"g":[],"h":[[2]]}"#,
        )
        .unwrap();
        let seen = std::cell::RefCell::new(Vec::new());
        assert!(each_value(&json, &mut String::new(), &|path, value| {
            seen.borrow_mut().push(format!("{path}={value}"));
            true
        }));
        assert_eq!(
            seen.into_inner(),
            ["a=1", "b.c[].d=true", "b.c[].d=x", "g=[]", "h[][]=2"]
        );
    }
}
