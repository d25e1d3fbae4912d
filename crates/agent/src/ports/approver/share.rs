//! Which part of what is free at the venue a withdrawal takes.

use touchkeep_core::{Decimal, text::visible};
use touchkeep_pipeline::Question;

/// From so many of a hundred on it is said to be unusual.
const MUCH: u32 = 50;

/// `31 % of 1.613 BTC that are free there`; none where the venue was not heard.
pub(super) fn fact(question: &Question) -> Option<String> {
    let (amount, free) = both(question)?;
    let asset = question.operation.asset.as_deref().map(visible)?;
    let of = format!("{free} {asset} that are free there");
    Some(match share(amount, free) {
        Some(share) => format!("{share} % of {of}"),
        None => format!("more than the {of}"),
    })
}

/// Where it is most of it, or more than all.
pub(super) fn unusual(question: &Question) -> Option<String> {
    let (amount, free) = both(question)?;
    match share(amount, free) {
        Some(share) if share < MUCH => None,
        Some(share) => Some(format!("takes {share} % of what is free there")),
        None => Some("takes more than what is free there".to_owned()),
    }
}

fn both(question: &Question) -> Option<(&Decimal, &Decimal)> {
    Some((question.operation.amount.as_ref()?, question.free.as_ref()?))
}

// Of a hundred, rounded up; none where it is more than all.
fn share(amount: &Decimal, free: &Decimal) -> Option<u32> {
    let hundredth = free.times(&"0.01".parse().ok()?);
    let mut part = Decimal::zero();
    for share in 0..=100 {
        if *amount <= part {
            return Some(share);
        }
        part = part.plus(&hundredth);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_more_than_all_has_none() {
        for (amount, free, is) in [
            ("0.5", "1.613", Some(31)),
            ("0.000000001", "100000", Some(1)),
            ("1", "1", Some(100)),
            ("0.999999999", "1", Some(100)),
            ("1.000000001", "1", None),
            ("1", "0", None),
        ] {
            let (amount, free) = (amount.parse().unwrap(), free.parse().unwrap());
            assert_eq!(share(&amount, &free), is, "{amount} of {free}");
        }
    }
}
