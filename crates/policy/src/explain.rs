//! Why a request is judged as it is: every rule in turn, with what its limits hold.

use touchkeep_core::Decimal;

use crate::{
    Action, Asked, Before, Doubt, Misfit, Policy, Rule, Stand, Sums,
    decide::{Said, stand_of},
    history::notional,
};

/// How a decision came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What is done; none where no rule fits, which denies.
    pub action: Option<Action>,
    /// The place of the rule that it came from.
    pub rule: Option<usize>,
    /// The rules in their order, up to the one that fits.
    pub steps: Vec<Step>,
}

/// One rule, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its place.
    pub rule: usize,
    /// How it stands to the request.
    pub stand: Stand,
    /// Its limits; none where it is about other requests.
    pub limits: Vec<Limit>,
}

/// One limit of a rule, as this request finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The field that it stands in.
    pub field: &'static str,
    /// The most.
    pub most: String,
    /// What the window has already; none for a limit of one request. `unknown` where it cannot be said.
    pub so_far: Option<String>,
    /// What the request adds. `unknown` where it does not say.
    pub adds: String,
}

const UNKNOWN: &str = "unknown";

impl Policy {
    /// Explains what [`Policy::decide`] decides.
    #[must_use]
    pub fn explain(&self, asked: &Asked, before: &impl Before) -> Explanation {
        let mut steps = Vec::new();
        let said = Said::of(asked);
        for (place, rule) in self.rules().iter().enumerate() {
            let stand = stand_of(rule, &said, place, before);
            let limits = match stand {
                Stand::Not(_) => Vec::new(),
                Stand::Fits | Stand::Floor(_) => limits(rule, asked, &before.sums(place)),
            };
            steps.push(Step {
                rule: place,
                stand,
                limits,
            });
            if stand == Stand::Fits {
                break;
            }
        }
        let (action, rule) = self.action(asked, before);
        let place = |rule: &Rule| self.rules().iter().position(|one| one.name == rule.name);
        Explanation {
            action,
            rule: rule.and_then(place),
            steps,
        }
    }
}

fn limits(rule: &Rule, asked: &Asked, sums: &Sums) -> Vec<Limit> {
    let operation = &asked.operation;
    let (amount, worth) = (operation.amount.clone(), notional(operation));
    let said = |value: &Option<Decimal>| {
        value
            .as_ref()
            .map_or_else(|| UNKNOWN.to_owned(), ToString::to_string)
    };
    let (amount, worth) = (said(&amount), said(&worth));
    let money = [
        ("max_amount", &rule.max_amount, None, &amount),
        ("max_notional", &rule.max_notional, None, &worth),
        (
            "window_amount",
            &rule.window_amount,
            Some(said(&sums.amount)),
            &amount,
        ),
        (
            "window_notional",
            &rule.window_notional,
            Some(said(&sums.notional)),
            &worth,
        ),
    ];
    let money = money.into_iter().filter_map(|(field, most, so_far, adds)| {
        Some(Limit {
            field,
            most: most.as_ref()?.to_string(),
            so_far,
            adds: adds.clone(),
        })
    });
    let counts = [
        ("requests_per_minute", rule.requests_per_minute, sums.minute),
        ("requests_per_day", rule.requests_per_day, sums.day),
    ];
    let counts = counts.into_iter().filter_map(|(field, most, so_far)| {
        let so_far = match so_far {
            u32::MAX => UNKNOWN.to_owned(),
            so_far => so_far.to_string(),
        };
        Some(Limit {
            field,
            most: most?.to_string(),
            so_far: Some(so_far),
            adds: "1".to_owned(),
        })
    });
    money.chain(counts).collect()
}

impl Misfit {
    /// Why, in words after "it does not fit: ".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Kind => "another kind of operation",
            Self::Client => "another client",
            Self::Venue => "another venue",
            Self::KeySet => "another key set",
            Self::Hours => "outside its hours and days",
            Self::Side => "another side",
            Self::Symbol => "another market",
            Self::Asset => "another asset",
            Self::Destination => "another destination, tag or network",
        }
    }
}

impl Doubt {
    /// Whether it is over a limit, rather than silent about something.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(
            self,
            Self::MaxAmount
                | Self::MaxNotional
                | Self::WindowAmount
                | Self::WindowNotional
                | Self::PerMinute
                | Self::PerDay
        )
    }

    /// Why, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SideUnsaid => "the request does not say its side",
            Self::SymbolUnsaid => "the request does not say its market",
            Self::AssetUnsaid => "the request does not say its asset",
            Self::DestinationUnsaid => "the request does not say where the money goes",
            Self::AmountUnsaid => "the request does not say its amount in one number above 0",
            Self::NotionalUnsaid => "the request does not bound its amount in the quote asset",
            Self::MaxAmount => "over max_amount",
            Self::MaxNotional => "over max_notional",
            Self::WindowAmount => "over window_amount",
            Self::WindowNotional => "over window_notional",
            Self::PerMinute => "over requests_per_minute",
            Self::PerDay => "over requests_per_day",
        }
    }
}
