//! What a request says, by the shape of its endpoint: amounts, places and names, each in one reading or none.

use touchkeep_core::Decimal;

use crate::{
    Json, Operation, Parameter, Side, Unreadable,
    reading::{Given, exact_case},
    table::{Case, Shape, Table},
};

/// A request, and the shape of its endpoint.
pub(crate) struct Said<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) table: &'a Table,
    pub(crate) query: &'a [Parameter],
    pub(crate) body: &'a Given,
    pub(crate) places: &'a [(String, String)],
}

impl Said<'_> {
    /// Puts into the operation what the request says.
    pub(crate) fn describe(&self, operation: &mut Operation) -> Result<(), Unreadable> {
        self.names_are_exact()?;
        let shape = self.shape;
        operation.symbol = self.code(&shape.symbol)?;
        operation.asset = self.code(&shape.asset)?;
        operation.side = self.side()?;
        operation.amount = self.number(&shape.amount, &shape.amount_when)?;
        operation.quote_amount = self.number(&shape.quote_amount, &shape.quote_when)?;
        if let Some((side, amount)) = self.signed_amount()? {
            operation.side = Some(side);
            operation.amount = self.hold(&shape.amount_when)?.then_some(amount);
        }
        if operation.amount.is_some() && operation.quote_amount.is_some() {
            return Err(Unreadable::TwoAmounts);
        }
        operation.price = self.number(&shape.price, &shape.price_when)?;
        if self.price_is_moved() {
            operation.price = None;
        }
        operation.destination = self.text(&shape.destination)?;
        operation.destination_tag = self.text(&shape.destination_tag)?;
        operation.network = self.text(&shape.network)?;
        operation.client_id = self.text(&shape.client_id)?;
        Ok(())
    }

    fn names_are_exact(&self) -> Result<(), Unreadable> {
        let names = self.shape.names();
        for parameter in self.query {
            exact_case(&parameter.name, &names)?;
        }
        match self.body {
            Given::Form(form) => form.iter().try_for_each(|p| exact_case(&p.name, &names)),
            Given::Json(json) => members_are_exact(json, &names),
        }
    }

    // A name's value, and the name that it stood under. One that the endpoint could read from two places is refused.
    fn look(&self, name: &str) -> Result<Option<(String, String)>, Unreadable> {
        let mut found: Option<(String, String)> = None;
        for one in name.split('|') {
            let Some(value) = self.one(one)? else {
                continue;
            };
            if let Some((before, _)) = found {
                return Err(Unreadable::Either(before, one.to_owned()));
            }
            found = Some((one.to_owned(), value));
        }
        Ok(found)
    }

    fn one(&self, name: &str) -> Result<Option<String>, Unreadable> {
        if let Some(word) = name.strip_prefix('=') {
            return Ok(Some(word.to_owned()));
        }
        if let Some(place) = name.strip_prefix('{') {
            let place = place.trim_end_matches('}');
            let found = self.places.iter().find(|(name, _)| name == place);
            return Ok(found.map(|(_, value)| value.clone()));
        }
        match self.body {
            // An empty text says nothing: OKX's own library sends one for everything that is not set.
            Given::Json(json @ Json::Members(members)) if !members.is_empty() => {
                Ok(walk(json, name)?.filter(|value| !value.is_empty()))
            }
            Given::Json(Json::List(_)) => Err(Unreadable::NoMembers),
            Given::Json(_) => Ok(self.parameter(self.query, name)),
            Given::Form(form) => Ok(self
                .parameter(self.query, name)
                .or_else(|| self.parameter(form, name))),
        }
    }

    fn parameter(&self, of: &[Parameter], name: &str) -> Option<String> {
        let found = of.iter().find(|p| p.name == name);
        found.map(|p| p.value.clone())
    }

    fn text(&self, name: &Option<String>) -> Result<Option<String>, Unreadable> {
        let Some(name) = name else { return Ok(None) };
        match self.look(name)? {
            Some((name, value)) if value.is_empty() => Err(Unreadable::Value(name)),
            found => Ok(found.map(|(_, value)| value)),
        }
    }

    // Some venues read a name in small letters like one in capitals, and a rule about a name must meet every spelling of it.
    fn code(&self, name: &Option<String>) -> Result<Option<String>, Unreadable> {
        let strange = |c: char| match self.table.about.case {
            Case::Upper => c.is_ascii_lowercase() || c.is_whitespace(),
            Case::Lower => c.is_ascii_uppercase() || c.is_whitespace(),
            Case::Exact => c.is_whitespace(),
        };
        match (self.text(name)?, name) {
            (Some(found), Some(name)) if found.contains(strange) => {
                Err(Unreadable::Value(name.clone()))
            }
            (found, _) => Ok(found),
        }
    }

    // What does not count under these conditions need be no number: a price may be `-2%` where it is no limit.
    fn number(
        &self,
        name: &Option<String>,
        when: &[String],
    ) -> Result<Option<Decimal>, Unreadable> {
        let Some(name) = name else { return Ok(None) };
        if !self.hold(when)? {
            return Ok(None);
        }
        let Some((name, value)) = self.look(name)? else {
            return Ok(None);
        };
        let number: Decimal = value
            .parse()
            .map_err(|_| Unreadable::Number(name.clone()))?;
        if number.is_negative() || value.starts_with('-') {
            return Err(Unreadable::Number(name));
        }
        Ok(Some(number))
    }

    fn signed_amount(&self) -> Result<Option<(Side, Decimal)>, Unreadable> {
        let Some(name) = &self.shape.signed_amount else {
            return Ok(None);
        };
        let Some((name, value)) = self.look(name)? else {
            return Ok(None);
        };
        let (side, digits) = match value.strip_prefix('-') {
            Some(digits) => (Side::Sell, digits),
            None => (Side::Buy, value.as_str()),
        };
        let number = digits.parse().map_err(|_| Unreadable::Number(name))?;
        Ok(Some((side, number)))
    }

    fn side(&self) -> Result<Option<Side>, Unreadable> {
        let Some(name) = &self.shape.side else {
            return Ok(None);
        };
        let Some((name, value)) = self.look(name)? else {
            return Ok(None);
        };
        let about = &self.table.about;
        match (
            is_one_of(&value, &about.buy),
            is_one_of(&value, &about.sell),
        ) {
            (true, false) => Ok(Some(Side::Buy)),
            (false, true) => Ok(Some(Side::Sell)),
            _ if name.starts_with('=') => Ok(None),
            _ => Err(Unreadable::Value(name)),
        }
    }

    fn hold(&self, when: &[String]) -> Result<bool, Unreadable> {
        for condition in when {
            if !self.holds(condition)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    // `name=a,b`: it is one of these; `name!`: it is not there; `name?a,b`: either of both.
    fn holds(&self, condition: &str) -> Result<bool, Unreadable> {
        if let Some(name) = condition.strip_suffix('!') {
            return Ok(self.is_absent(name));
        }
        let (name, words) = match condition.split_once('?') {
            Some((name, _)) if self.is_absent(name) => return Ok(true),
            Some(may) => may,
            None => condition.split_once('=').unwrap_or((condition, "")),
        };
        let value = self.look(name)?.map(|(_, value)| value);
        Ok(value.is_some_and(|value| words.split(',').any(|word| word == value)))
    }

    fn is_absent(&self, name: &str) -> bool {
        !self.all_names().iter().any(|n| n == name)
    }

    fn price_is_moved(&self) -> bool {
        let moves = &self.shape.price_unless;
        self.all_names().iter().any(|name| {
            let small = name.to_ascii_lowercase();
            let words = moves.iter().map(|word| word.to_ascii_lowercase());
            words.into_iter().any(|word| matches_word(&small, &word))
        })
    }

    fn all_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.query.iter().map(|p| p.name.clone()).collect();
        match self.body {
            Given::Form(form) => names.extend(form.iter().map(|p| p.name.clone())),
            Given::Json(Json::Members(members)) => {
                names.extend(members.iter().map(|(name, _)| name.clone()));
            }
            Given::Json(_) => {}
        }
        names
    }
}

fn is_one_of(value: &str, words: &[String]) -> bool {
    words.iter().any(|word| matches_word(value, word))
}

fn matches_word(value: &str, word: &str) -> bool {
    match word.strip_suffix('*') {
        Some(beginning) => value.starts_with(beginning),
        None => value == word,
    }
}

fn members_are_exact(json: &Json, names: &[&str]) -> Result<(), Unreadable> {
    match json {
        Json::Members(members) => members.iter().try_for_each(|(name, value)| {
            exact_case(name, names)?;
            members_are_exact(value, names)
        }),
        Json::List(values) => values.iter().try_for_each(|v| members_are_exact(v, names)),
        _ => Ok(()),
    }
}

/// What stands at a path of members; `*` is any one of them.
pub(crate) fn walk(json: &Json, path: &str) -> Result<Option<String>, Unreadable> {
    let (head, rest) = match path.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    let Json::Members(members) = json else {
        return Ok(None);
    };
    let mut found = None;
    for (name, value) in members
        .iter()
        .filter(|(name, _)| head == "*" || name == head)
    {
        let one = match rest {
            Some(rest) => walk(value, rest)?,
            None => Some(
                value
                    .plain()
                    .ok_or_else(|| Unreadable::Value(name.clone()))?
                    .to_owned(),
            ),
        };
        if one.is_some() && found.is_some() {
            return Err(Unreadable::Either(path.to_owned(), name.clone()));
        }
        found = found.or(one);
    }
    Ok(found)
}
