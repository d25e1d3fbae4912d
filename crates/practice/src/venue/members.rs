//! The members of a JSON object in the order they were sent; a name that comes twice is refused.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Names and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Members<V>(pub(crate) Vec<(String, V)>);

impl<V> Default for Members<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Members<V> {
    /// The value of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Unique(PhantomData))
    }
}

struct Unique<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
    type Value = Members<V>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object in which every name stands once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<V>, A::Error> {
        let mut found: Vec<(String, V)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, V>()? {
            if found.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format_args!("{name} stands twice")));
            }
            found.push((name, value));
        }
        Ok(Members(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_once() {
        let good: Members<u8> = serde_json::from_str(r#"{"b":1,"a":2}"#).unwrap();
        assert_eq!(good.0, [("b".to_owned(), 1), ("a".to_owned(), 2)]);
        assert!(serde_json::from_str::<Members<u8>>(r#"{"a":1,"a":1}"#).is_err());
        // The same name, written in two ways.
        assert!(serde_json::from_str::<Members<u8>>(r#"{"a":1,"\u0061":1}"#).is_err());
    }
}
