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
            let counts = !shape.contracts && self.hold(&shape.amount_when)?;
            operation.amount = counts.then_some(amount);
        }
        // Nothing at all is never ordered: Kraken, Bybit and Gate take it for a whole position, however large.
        for amount in [&mut operation.amount, &mut operation.quote_amount] {
            *amount = amount.take().filter(|amount| *amount != Decimal::zero());
        }
        if operation.amount.is_some() && operation.quote_amount.is_some() {
            return Err(Unreadable::TwoAmounts);
        }
        operation.price = self.number(&shape.price, &shape.price_when)?;
        if self.price_is_moved() {
            operation.price = None;
        }
        operation.destination = self.text(&shape.destination)?;
        operation.resolved = self.text(&shape.resolved)?;
        operation.destination_tag = self.text(&shape.destination_tag)?;
        operation.network = self.text(&shape.network)?;
        operation.client_id = self.text(&shape.client_id)?;
        Ok(())
    }

    fn names_are_exact(&self) -> Result<(), Unreadable> {
        let names = &self.shape.names;
        let known = || names.iter().map(String::as_str);
        for parameter in self.query {
            exact_case(&parameter.name, known())?;
        }
        match self.body {
            Given::Form(form) => form.iter().try_for_each(|p| exact_case(&p.name, known())),
            Given::Json(json) => members_are_exact(json, names),
        }
    }

    // A name's value, and the name that it stood under. One that the endpoint could read from two places is refused.
    fn look<'b>(&'b self, name: &'b str) -> Result<Option<(&'b str, &'b str)>, Unreadable> {
        let mut found: Option<(&str, &str)> = None;
        for one in name.split('|') {
            let Some(value) = self.one(one)? else {
                continue;
            };
            if let Some((before, _)) = found {
                return Err(Unreadable::Either(before.to_owned(), one.to_owned()));
            }
            found = Some((one, value));
        }
        Ok(found)
    }

    fn one<'b>(&'b self, name: &'b str) -> Result<Option<&'b str>, Unreadable> {
        if let Some(word) = name.strip_prefix('=') {
            return Ok(Some(word));
        }
        if let Some(place) = name.strip_prefix('{') {
            let place = place.trim_end_matches('}');
            let found = self.places.iter().find(|(name, _)| name == place);
            return Ok(found.map(|(_, value)| value.as_str()));
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

    fn parameter<'b>(&self, of: &'b [Parameter], name: &str) -> Option<&'b str> {
        let found = of.iter().find(|p| p.name == name);
        found.map(|p| p.value.as_str())
    }

    fn text(&self, name: &Option<String>) -> Result<Option<String>, Unreadable> {
        let Some(name) = name else { return Ok(None) };
        match self.look(name)? {
            Some((name, "")) => Err(Unreadable::Value(name.to_owned())),
            found => Ok(found.map(|(_, value)| value.to_owned())),
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
        let wrong = || Unreadable::Number(name.to_owned());
        let number: Decimal = value.parse().map_err(|_| wrong())?;
        if number.is_negative() || value.starts_with('-') {
            return Err(wrong());
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
            None => (Side::Buy, value),
        };
        let number = digits.parse();
        let number = number.map_err(|_| Unreadable::Number(name.to_owned()))?;
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
        match (is_one_of(value, &about.buy), is_one_of(value, &about.sell)) {
            (true, false) => Ok(Some(Side::Buy)),
            (false, true) => Ok(Some(Side::Sell)),
            _ if name.starts_with('=') => Ok(None),
            _ => Err(Unreadable::Value(name.to_owned())),
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

    // `name=a,*b`: it is one of these, or ends so; `name!`: it is not there; `name?a,b`: either of both.
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
        let is = |value: &str, word: &str| match word.strip_prefix('*') {
            Some(end) => value.ends_with(end),
            None => word == value,
        };
        Ok(value.is_some_and(|value| words.split(',').any(|word| is(value, word))))
    }

    fn is_absent(&self, name: &str) -> bool {
        !self.any_name(|n| n == name)
    }

    fn price_is_moved(&self) -> bool {
        let moves = &self.shape.price_unless;
        self.any_name(|name| moves.iter().any(|word| matches_anyhow(name, word)))
    }

    fn any_name(&self, fits: impl Fn(&str) -> bool) -> bool {
        let of = |parameters: &[Parameter]| parameters.iter().any(|p| fits(&p.name));
        of(self.query)
            || match self.body {
                Given::Form(form) => of(form),
                Given::Json(Json::Members(members)) => members.iter().any(|(name, _)| fits(name)),
                Given::Json(_) => false,
            }
    }
}

// In whatever upper and lower case.
fn matches_anyhow(name: &str, word: &str) -> bool {
    match word.strip_suffix('*') {
        Some(beginning) => name
            .get(..beginning.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(beginning)),
        None => name.eq_ignore_ascii_case(word),
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

fn members_are_exact(json: &Json, names: &[String]) -> Result<(), Unreadable> {
    match json {
        Json::Members(members) => members.iter().try_for_each(|(name, value)| {
            exact_case(name, names.iter().map(String::as_str))?;
            members_are_exact(value, names)
        }),
        Json::List(values) => values.iter().try_for_each(|v| members_are_exact(v, names)),
        _ => Ok(()),
    }
}

/// What stands at a path of members; `*` is any one of them.
pub(crate) fn walk<'a>(json: &'a Json, path: &str) -> Result<Option<&'a str>, Unreadable> {
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
                    .ok_or_else(|| Unreadable::Value(name.clone()))?,
            ),
        };
        if one.is_some() && found.is_some() {
            return Err(Unreadable::Either(path.to_owned(), name.clone()));
        }
        found = found.or(one);
    }
    Ok(found)
}
