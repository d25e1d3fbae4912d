//! What a request says, by the shape of its endpoint: amounts, places and names, each in one reading or none.

use touchkeep_core::Decimal;

use crate::{
    Json, Operation, OperationKind, Parameter, Side, Unreadable, beside,
    reading::{Given, Ours, exact_case},
    table::{Case, Shape, Table},
};

/// A request, and the shape of its endpoint.
pub(crate) struct Said<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) table: &'a Table,
    pub(crate) query: &'a [Parameter],
    pub(crate) body: &'a Given,
    pub(crate) places: &'a [(String, String)],
    /// Parameters that are authentication, and ours.
    pub(crate) ours: &'a [(&'static str, Ours)],
}

impl Said<'_> {
    /// Puts into the operation what the request says.
    pub(crate) fn describe(&self, operation: &mut Operation) -> Result<(), Unreadable> {
        self.names_are_exact()?;
        let shape = self.shape;
        operation.symbol = self.code(&shape.symbol)?;
        operation.asset = self.code(&shape.asset)?;
        operation.side = self.side()?;
        operation.amount = self.size(&shape.amount, &shape.amount_when)?;
        operation.quote_amount = self.size(&shape.quote_amount, &shape.quote_when)?;
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
        operation.borrows |= self.borrows(operation)?;
        if operation.kind == OperationKind::Trade && !self.is_all_known(operation) {
            (operation.amount, operation.quote_amount) = (None, None);
        }
        let price = self.number(&shape.price, &shape.price_when)?;
        // Some take a price of nothing for none, and what it bounds would be nothing, too.
        let bounds = |price: &Decimal| *price != Decimal::zero() && !self.price_is_moved();
        operation.price = price.filter(bounds);
        operation.destination = self.text(&shape.destination)?;
        operation.resolved = self.text(&shape.resolved)?;
        operation.destination_tag = self.text(&shape.destination_tag)?;
        operation.network = self.text(&shape.network)?;
        operation.client_id = self.own(&shape.client_id)?;
        operation.read_from = self.read_from(operation)?;
        Ok(())
    }

    // Which parameters say what was read.
    fn read_from(&self, operation: &Operation) -> Result<Vec<String>, Unreadable> {
        let shape = self.shape;
        let read = [
            (&shape.symbol, operation.symbol.is_some()),
            (&shape.asset, operation.asset.is_some()),
            (&shape.amount, operation.amount.is_some()),
            (&shape.signed_amount, operation.amount.is_some()),
            (&shape.quote_amount, operation.quote_amount.is_some()),
            (&shape.price, operation.price.is_some()),
            (&shape.destination, operation.destination.is_some()),
            (&shape.resolved, operation.resolved.is_some()),
            (&shape.destination_tag, operation.destination_tag.is_some()),
            (&shape.network, operation.network.is_some()),
            (&shape.client_id, operation.client_id.is_some()),
        ];
        let names = read.into_iter().filter(|(_, is_read)| *is_read);
        let mut from = Vec::new();
        for name in names.filter_map(|(name, _)| name.as_deref()) {
            let found = self.look(name)?.map(|(name, _)| name);
            // Of several that say the same the first; the others are shown.
            from.extend(found.map(|name| name.replace("[]", "[0]")));
        }
        Ok(from)
    }

    // Whether the amounts of an order are all that sizes it. What it borrows for it has not, so that counts for more.
    fn is_all_known(&self, operation: &Operation) -> bool {
        !operation.borrows && beside::is_known(self)
    }

    fn borrows(&self, operation: &Operation) -> Result<bool, Unreadable> {
        let when = &self.shape.borrows_when;
        Ok(operation.kind == OperationKind::Trade && !when.is_empty() && self.hold(when)?)
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
            Given::Json(json @ Json::List(_)) if name.starts_with(EACH) => {
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

    // Whether it is a member of each in a list that has not one.
    fn is_of_several(&self, name: &str) -> bool {
        let Some((path, _)) = name.split_once(EACH) else {
            return false;
        };
        let Given::Json(json) = self.body else {
            return true;
        };
        let list = if path.is_empty() {
            Some(json)
        } else {
            json.member(path)
        };
        !matches!(list, Some(Json::List(values)) if values.len() == 1)
    }

    // What is said of an order, and not of several.
    fn own(&self, name: &Option<String>) -> Result<Option<String>, Unreadable> {
        let of_one = name.clone().filter(|name| !self.is_of_several(name));
        self.text(&of_one)
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
        let case = self.shape.case.unwrap_or(self.table.about.case);
        let strange = |c: char| match case {
            Case::Upper => c.is_ascii_lowercase() || c.is_whitespace(),
            Case::Lower => c.is_ascii_uppercase() || c.is_whitespace(),
            Case::Exact | Case::Any => c.is_whitespace(),
        };
        match (self.text(name)?, name) {
            (Some(found), Some(name)) if found.contains(strange) => {
                Err(Unreadable::Value(name.clone()))
            }
            (Some(found), _) if case == Case::Any => Ok(Some(match self.table.about.case {
                Case::Lower => found.to_ascii_lowercase(),
                _ => found.to_ascii_uppercase(),
            })),
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
        if self.is_of_several(name) || !self.hold(when)? {
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

    // A part of what is there, `50%`, is no amount.
    fn size(&self, name: &Option<String>, when: &[String]) -> Result<Option<Decimal>, Unreadable> {
        let said = name.as_deref().map(|name| self.look(name)).transpose()?;
        let said = said.flatten().map(|(_, value)| value);
        if said.is_some_and(|value| value.ends_with('%')) {
            return Ok(None);
        }
        self.number(name, when)
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
        let number: Decimal = digits
            .parse()
            .map_err(|_| Unreadable::Number(name.to_owned()))?;
        Ok((number != Decimal::zero()).then_some((side, number)))
    }

    fn side(&self) -> Result<Option<Side>, Unreadable> {
        let Some(name) = &self.shape.side else {
            return Ok(None);
        };
        let Some((name, value)) = self.look(name)? else {
            return Ok(None);
        };
        let (shape, about) = (self.shape, &self.table.about);
        let (buy, sell) = match shape.buy.is_empty() {
            true => (&about.buy, &about.sell),
            false => (&shape.buy, &shape.sell),
        };
        match (is_one_of(value, buy), is_one_of(value, sell)) {
            (true, false) => Ok(Some(Side::Buy)),
            (false, true) => Ok(Some(Side::Sell)),
            _ if name.starts_with('=') => Ok(None),
            _ => Err(Unreadable::Value(name.to_owned())),
        }
    }

    fn hold(&self, when: &[String]) -> Result<bool, Unreadable> {
        for conditions in when {
            let mut any = false;
            for condition in conditions.split('|') {
                any |= self.holds(condition)?;
            }
            if !any {
                return Ok(false);
            }
        }
        Ok(true)
    }

    // `name=a,*b`: it is one of these, or ends so; `name!a,*b`: it is there, and none of these; `name!`: it is not there;
    // `name?a,b`: it is not there, or one of these. Between bars, one of several.
    fn holds(&self, condition: &str) -> Result<bool, Unreadable> {
        if let Some(name) = condition.strip_suffix('!') {
            return Ok(self.is_absent(name));
        }
        let (name, words) = match condition.split_once('?') {
            Some((name, _)) if self.is_absent(name) => return Ok(true),
            Some(may) => may,
            None => condition.split_once(['=', '!']).unwrap_or((condition, "")),
        };
        let value = self.look(name)?.map(|(_, value)| value);
        let is = |value: &str, word: &str| match word.strip_prefix('*') {
            Some(end) => value.ends_with(end),
            None => word == value,
        };
        let may = !condition.contains('!');
        Ok(value.is_some_and(|value| words.split(',').any(|word| is(value, word)) == may))
    }

    // Nowhere in the request, so that a place that is not looked into cannot hide it.
    fn is_absent(&self, name: &str) -> bool {
        let last = name.rsplit('.').next();
        !self.any_name(|n| Some(n) == last)
    }

    fn price_is_moved(&self) -> bool {
        self.any_name(|name| self.shape.moves_price(name))
    }

    fn any_name(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.body.any_name(self.query, fits)
    }
}

// In whatever upper and lower case.
pub(crate) fn matches_anyhow(name: &str, word: &str) -> bool {
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

// Ends the name of a list, before a member of each in it.
pub(crate) const EACH: &str = "[].";

/// What stands at a path of members; `*` is the only one of them, whatever its name. Of each in a list: where all say the
/// same.
pub(crate) fn walk<'a>(json: &'a Json, path: &str) -> Result<Option<&'a str>, Unreadable> {
    if let Some(rest) = path.strip_prefix(EACH) {
        return each(json, rest);
    }
    let (head, rest) = match path.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    if let (Some(list), Some(rest)) = (head.strip_suffix("[]"), rest) {
        return json.member(list).map_or(Ok(None), |list| each(list, rest));
    }
    let Json::Members(members) = json else {
        return Ok(None);
    };
    if head == "*" {
        is_one(members)?;
    }
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

// Where any one member counts, a second that says something could lend the first its words: a price to an order without one.
fn is_one(members: &[(String, Json)]) -> Result<(), Unreadable> {
    let mut says = members.iter().filter(|(_, value)| *value != Json::Null);
    match (says.next(), says.next()) {
        (Some((one, _)), Some((other, _))) => Err(Unreadable::Either(one.clone(), other.clone())),
        _ => Ok(()),
    }
}

// What is no list, or says it once and once not, might be read in another way by the venue.
fn each<'a>(list: &'a Json, path: &str) -> Result<Option<&'a str>, Unreadable> {
    let Json::List(values) = list else {
        return Err(Unreadable::Value(path.to_owned()));
    };
    let mut said = values.iter().map(|value| walk(value, path));
    let Some(first) = said.next().transpose()?.flatten() else {
        return Ok(None);
    };
    for other in said {
        if other? != Some(first) {
            return Ok(None);
        }
    }
    Ok(Some(first))
}
