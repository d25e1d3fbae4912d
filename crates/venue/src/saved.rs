//! Withdrawals to a name under which the venue keeps an address, as Kraken has it: how the address is asked for, how the answer
//! is read, and how a request is held to it, so that the venue itself refuses where the name has come to mean another one.

use crate::{Json, Operation, Request, form, reading::FORM};

/// The name that a withdrawal goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    name: String,
    asset: String,
}

/// What the venue keeps under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The address.
    pub address: String,
    /// The memo or tag that belongs to it.
    pub memo: Option<String>,
}

/// Why it is not known what the venue keeps under a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotKept {
    /// The venue says why not.
    #[error("the venue says: {0}")]
    Refused(String),
    /// There is none, or there are several.
    #[error("the venue names {0} addresses")]
    NotOne(usize),
    /// It cannot be read.
    #[error("the venue's answer cannot be read")]
    Unreadable,
}

/// The name that an operation goes to; none where its venue does not send to names.
#[must_use]
pub fn saved(operation: &Operation) -> Option<Saved> {
    let sends = operation.venue == crate::kraken::VENUE && operation.path == "/0/private/Withdraw";
    Some(Saved {
        name: operation.destination.clone().filter(|_| sends)?,
        asset: operation.asset.clone()?,
    })
}

impl Saved {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The request that asks for the address.
    #[must_use]
    pub fn request(&self) -> Request {
        let mut body = Vec::new();
        form::append(&mut body, "asset", &self.asset);
        form::append(&mut body, "key", &self.name);
        Request {
            method: "POST".into(),
            path: "/0/private/WithdrawAddresses".into(),
            query: Vec::new(),
            content_type: Some(FORM.into()),
            body,
            expires: None,
        }
    }

    /// Reads the answer to it.
    ///
    /// # Errors
    /// When there is not one address.
    pub fn read(&self, answer: &[u8]) -> Result<Kept, NotKept> {
        let answer = Json::read(answer).map_err(|_| NotKept::Unreadable)?;
        if let Some(why) = answer.member("error").and_then(Json::first) {
            return Err(NotKept::Refused(why.plain().unwrap_or_default().to_owned()));
        }
        let Some(Json::List(all)) = answer.member("result") else {
            return Err(NotKept::Unreadable);
        };
        let text = |one: &Json, name: &str| one.member(name)?.plain().map(str::to_owned);
        let mut kept: Vec<Kept> = Vec::new();
        let named = all.iter();
        for one in named.filter(|one| text(one, "key").as_deref() == Some(&self.name)) {
            let said = |name: &str| text(one, name).filter(|text| !text.is_empty());
            let one = Kept {
                address: said("address").ok_or(NotKept::Unreadable)?,
                memo: said("memo").or_else(|| said("tag")),
            };
            if !kept.contains(&one) {
                kept.push(one);
            }
        }
        match (kept.pop(), kept.len()) {
            (Some(one), 0) => Ok(one),
            (one, more) => Err(NotKept::NotOne(more + usize::from(one.is_some()))),
        }
    }

    /// The withdrawal with the address beside the name: the venue refuses it where its own is another. None where it names
    /// one already.
    #[must_use]
    pub fn held_to(
        &self,
        operation: &Operation,
        asked: &Request,
        address: &str,
    ) -> Option<Request> {
        if operation.resolved.is_some() {
            return None;
        }
        let kind = asked.content_type.as_deref().unwrap_or_default();
        let is_json = kind.trim_start().starts_with("application/json");
        let body = if is_json {
            let Ok(Json::Members(mut members)) = Json::read(&asked.body) else {
                return None;
            };
            members.push((ADDRESS.to_owned(), Json::Text(address.to_owned())));
            Json::Members(members).to_text().into_bytes()
        } else {
            let mut body = asked.body.clone();
            form::append(&mut body, ADDRESS, address);
            body
        };
        Some(Request {
            body,
            ..asked.clone()
        })
    }
}

const ADDRESS: &str = "address";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoded, venue};

    fn withdrawal(kind: &str, body: &str) -> (Request, Operation) {
        let request = Request {
            method: "POST".into(),
            path: "/0/private/Withdraw".into(),
            query: Vec::new(),
            content_type: Some(kind.into()),
            body: body.into(),
            expires: None,
        };
        match venue("kraken").unwrap().decode(&request) {
            Ok(Decoded::Private(read)) => (request, read.operation().clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_one_address_of_the_name_is_read_and_nothing_else() {
        let (_, operation) = withdrawal(FORM, "asset=XBT&key=my%20cold&amount=1");
        let name = saved(&operation).unwrap();
        assert_eq!(name.request().body, b"asset=XBT&key=my%20cold");
        let one = |address: &str, key: &str, more: &str| {
            format!(r#"{{"address":"{address}","key":"{key}"{more}}}"#)
        };
        let read = |all: &[String]| {
            let answer = format!(r#"{{"error":[],"result":[{}]}}"#, all.join(","));
            name.read(answer.as_bytes())
        };
        let kept = read(&[one("a", "my cold", ""), one("b", "my  cold", "")]).unwrap();
        assert_eq!((kept.address.as_str(), kept.memo), ("a", None));
        let kept = read(&[one("a", "my cold", r#","memo":"7""#)]).unwrap();
        assert_eq!(kept.memo.as_deref(), Some("7"));
        assert_eq!(read(&[]), Err(NotKept::NotOne(0)));
        let two = [one("a", "my cold", ""), one("b", "my cold", "")];
        assert_eq!(read(&two), Err(NotKept::NotOne(2)));
        assert_eq!(read(&[one("", "my cold", "")]), Err(NotKept::Unreadable));
        for answer in ["", "{}", r#"{"error":[],"result":{}}"#] {
            assert_eq!(name.read(answer.as_bytes()), Err(NotKept::Unreadable));
        }
        let refused = name.read(br#"{"error":["EGeneral:Permission denied"]}"#);
        assert_eq!(
            refused,
            Err(NotKept::Refused("EGeneral:Permission denied".into()))
        );
    }

    #[test]
    fn a_withdrawal_is_held_to_an_address_in_either_form() {
        for (kind, body) in [
            (FORM, "asset=XBT&key=cold&amount=1"),
            (
                "application/json; charset=utf-8",
                r#"{"nonce":1,"asset":"XBT","key":"cold","amount":"1"}"#,
            ),
        ] {
            let (request, operation) = withdrawal(kind, body);
            let name = saved(&operation).unwrap();
            let held = name.held_to(&operation, &request, "bc1q&x").unwrap();
            let held = String::from_utf8(held.body).unwrap();
            let (request, operation) = withdrawal(kind, &held);
            assert_eq!(operation.resolved.as_deref(), Some("bc1q&x"));
            assert_eq!(name.held_to(&operation, &request, "other"), None);
        }
    }
}
