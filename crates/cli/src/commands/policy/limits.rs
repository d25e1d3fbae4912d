//! `policy limits`, for a person.

use touchkeep_core::text::visible;
use touchkeep_wire::{PolicyUsage, PolicyWindow};

use crate::{commands::grants::time_left, output::Output};

// Places of a bar.
const PLACES: u32 = 10;

pub(super) fn table(used: &PolicyUsage, output: Output) -> String {
    if used.by_hand {
        return "Everything is asked by hand, so no limit counts: the policy cannot be read, or the vault can only be read. Look at: touchkeep policy check".into();
    }
    if used.windows.is_empty() {
        return "No rule looks back: none has a window, and none counts requests. They are written as window_amount and window_hours, window_notional, requests_per_minute, requests_per_day.".into();
    }
    let rows: Vec<Vec<String>> = used
        .windows
        .iter()
        .map(|window| {
            vec![
                visible(&window.rule),
                whose(window),
                limit(window),
                format!("{} {}", bar(window.percent), share(window)),
                frees(used, window),
            ]
        })
        .collect();
    output.table(&["RULE", "WHOSE", "LIMIT", "USED", "SOME FREE"], &rows)
}

fn whose(window: &PolicyWindow) -> String {
    let key_set = match (&window.venue, &window.key_set) {
        (Some(venue), Some(key_set)) => Some(format!("{} at {}", visible(key_set), visible(venue))),
        _ => None,
    };
    match (window.client.as_deref().map(visible), key_set) {
        (None, None) if window.each => "each by itself".into(),
        (None, None) => "all".into(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(client), Some(key_set)) => format!("{client}, {key_set}"),
    }
}

fn limit(window: &PolicyWindow) -> String {
    let most = &window.most;
    let of = window.of.as_deref().map(visible);
    match window.field.as_str() {
        "requests_per_minute" => format!("{most} requests a minute"),
        "requests_per_day" => format!("{most} requests a day"),
        "window_notional" => format!("{most} of the quote asset in {}", hours(window)),
        _ => match of {
            Some(of) => format!("{most} of {of} in {}", hours(window)),
            None => format!("{most} in {}", hours(window)),
        },
    }
}

fn hours(window: &PolicyWindow) -> String {
    format!("{} h", window.seconds / 3_600)
}

// What is over a limit was let through by a person, or before the limit was there.
fn share(window: &PolicyWindow) -> String {
    match window.percent {
        Some(percent) => format!("{percent} % ({})", window.so_far),
        None => "not known".into(),
    }
}

fn bar(percent: Option<u32>) -> String {
    // Nothing more fits where it is not known.
    let percent = percent.unwrap_or(100).min(100);
    let full = (percent * PLACES / 100).max(u32::from(percent > 0));
    let place = |at| if at < full { '█' } else { '░' };
    (0..PLACES).map(place).collect()
}

fn frees(used: &PolicyUsage, window: &PolicyWindow) -> String {
    window.frees.map_or_else(String::new, |at| {
        format!("in {}", time_left(at.since(used.at).div_ceil(1_000)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_its_limit_alone_and_never_empty_where_something_is_used() {
        let shown = |percent| bar(percent).replace('█', "#").replace('░', ".");
        assert_eq!(shown(Some(0)), "..........");
        assert_eq!(shown(Some(1)), "#.........");
        assert_eq!(shown(Some(55)), "#####.....");
        assert_eq!(shown(Some(99)), "#########.");
        assert_eq!(shown(Some(100)), "##########");
        assert_eq!(shown(Some(999)), "##########");
        assert_eq!(shown(None), "##########");
    }
}
