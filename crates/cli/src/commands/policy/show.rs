//! What is said of a policy, for a person.

use touchkeep_core::{
    text::{quoted, surely_visible, visible},
    time::rfc3339,
};
use touchkeep_wire::{
    PolicyChanges, PolicyCheck, PolicyExplanation, PolicyFinding, PolicyKindChange, PolicyLimit,
    PolicyReplay, PolicyReplayed, PolicyStep,
};

use crate::output::{Output, Style};

/// `policy check`.
pub(super) fn checked(checked: &PolicyCheck, output: Output) -> String {
    if let Some(problem) = &checked.problem {
        return format!(
            "{} {}\nWhile it stands, everything would be asked by hand.",
            output.out(Style::Bad, "It cannot be used:"),
            problem.trim_end()
        );
    }
    let mut lines: Vec<String> = checked.findings.iter().map(finding).collect();
    let rules = match checked.rules {
        1 => "1 rule".to_owned(),
        many => format!("{many} rules"),
    };
    lines.push(match checked.findings.len() {
        0 => format!("{rules}, nothing strange."),
        1 => format!("{rules}, 1 finding."),
        many => format!("{rules}, {many} findings."),
    });
    if let Some(changes) = &checked.changes {
        lines.extend(beside(changes));
    }
    lines.join("\n")
}

// What is another in it than in the policy in force, a line each: that is more than a sentence can hold.
fn beside(changes: &PolicyChanges) -> Vec<String> {
    let counts = changes.sentence.split("; ").next().unwrap_or_default();
    let kinds = changes.kinds.iter().map(|change| {
        let PolicyKindChange {
            kind,
            before,
            after,
        } = change;
        format!("  {kind}: the mildest was {before} and becomes {after}")
    });
    let details = changes.details.iter();
    let details = details.map(|detail| format!("  {}", surely_visible(detail)));
    let is_same = changes.kinds.is_empty() && changes.details.is_empty();
    let end = if is_same { '.' } else { ':' };
    std::iter::once(format!("Beside the policy in force, {counts}{end}"))
        .chain(kinds)
        .chain(details)
        .collect()
}

/// One finding, on a line.
pub(super) fn finding(finding: &PolicyFinding) -> String {
    format!(
        "{} {} ({})",
        quoted(&finding.rule),
        surely_visible(&finding.text),
        finding.what
    )
}

/// `policy explain`.
pub(super) fn explained(explained: &PolicyExplanation, output: Output) -> String {
    let asker = format!(
        "asked by {} with key set {} at {}",
        match explained.client.as_str() {
            "any" => "any client".to_owned(),
            client => visible(client),
        },
        visible(&explained.key_set),
        rfc3339(explained.at)
    );
    let mut lines = vec![
        output.out(Style::Strong, &explained.request),
        output.out(Style::Quiet, &asker),
    ];
    let names = explained
        .steps
        .iter()
        .map(|step| visible(&step.rule).chars().count());
    let width = names.max().unwrap_or(0);
    for one in &explained.steps {
        lines.push(step(one, width, output));
        lines.extend(
            one.limits
                .iter()
                .map(|one| format!("{}{}", " ".repeat(width + 10), limit(one))),
        );
    }
    lines.push(decision(explained, output));
    if !explained.with_history {
        lines.push("The vault is locked: sums are not known, and this is judged as if it were the first request.".to_owned());
    }
    if let Some(then) = &explained.then {
        lines.push(format!("Then, it was {then}."));
    }
    lines.extend(explained.notes.iter().map(|note| surely_visible(note)));
    lines.join("\n")
}

fn step(step: &PolicyStep, width: usize, output: Output) -> String {
    let name = visible(&step.rule);
    let gap = " ".repeat(width.saturating_sub(name.chars().count()));
    let why = step.why.as_deref().unwrap_or_default();
    let (word, rest) = match step.stand.as_str() {
        "fits" => (output.out(Style::Good, "fits "), step.action.clone()),
        "floor" => (
            output.out(Style::Warn, "floor"),
            format!("{why}: nothing below is milder than {}", step.action),
        ),
        _ => (
            output.out(Style::Quiet, "not  "),
            output.out(Style::Quiet, why),
        ),
    };
    format!("  {name}{gap}  {word} {rest}")
}

fn limit(limit: &PolicyLimit) -> String {
    let field = &limit.field;
    match &limit.so_far {
        Some(so_far) => format!(
            "{field} {}: {so_far} so far, this adds {}",
            limit.most, limit.adds
        ),
        None => format!("{field} {}: this has {}", limit.most, limit.adds),
    }
}

fn decision(explained: &PolicyExplanation, output: Output) -> String {
    let what = match explained.action.as_str() {
        "allow" => output.out(Style::Good, "It is signed, and nobody is asked"),
        "notify" => output.out(Style::Good, "It is signed, and a person is told"),
        "approve" => output.out(Style::Warn, "A person is asked"),
        "touch" => output.out(
            Style::Warn,
            "A person is asked, and must touch the device or type the passphrase",
        ),
        _ => output.out(Style::Bad, "It is denied"),
    };
    match &explained.rule {
        Some(rule) => format!("{what}: rule {}.", quoted(rule)),
        None if explained.by_hand => {
            format!("{what}: the policy in force cannot be used, so everything is by hand.")
        }
        None => format!("{what}: no rule fits."),
    }
}

/// `policy replay`.
pub(super) fn replayed(replayed: &PolicyReplay) -> String {
    if replayed.requests == 0 {
        return "No request is on record there, so there is nothing to try it against.".to_owned();
    }
    let mut lines = Vec::new();
    lines.extend(replayed.changes.iter().map(changed));
    let listed = replayed.changes.len() as u64;
    if listed < replayed.milder + replayed.stricter {
        lines.push(format!("The first {listed} are listed; see more with -n."));
    }
    lines.push(tried(replayed, ""));
    lines.join("\n")
}

// What one row would become, each part on a line of its own: rules have long names, and requests more to say.
fn changed(change: &PolicyReplayed) -> String {
    let by = |what: &str, rule: &Option<String>| match rule {
        Some(rule) => format!("{what} ({})", visible(rule)),
        None => format!("{what} (no rule)"),
    };
    let sign = if change.milder { "milder" } else { "stricter" };
    format!(
        "{}  {}  {}\n   {}\n   then  {}\n   now   {}, {sign}\n",
        change.row,
        rfc3339(change.at),
        visible(&change.client),
        visible(&change.request),
        by(&change.then, &change.then_rule),
        by(&change.now, &change.now_rule),
    )
}

/// What a policy would have done to the requests on record, in a sentence; `when` those were, with a blank before it.
pub(super) fn tried(replayed: &PolicyReplay, when: &str) -> String {
    let PolicyReplay {
        requests: count,
        milder,
        stricter,
        ..
    } = *replayed;
    let newest = if replayed.complete { "" } else { "newest " };
    if count == 1 {
        let decided = match (milder, stricter) {
            (0, 0) => "as it was",
            (0, _) => "more strictly",
            _ => "more mildly",
        };
        let one = if replayed.complete { "one " } else { newest };
        return format!("The {one}recorded request{when} would have been decided {decided}.");
    }
    let would = "would have been decided";
    let rest = match count.saturating_sub(milder + stricter) {
        0 => "",
        _ => ", the rest as they were",
    };
    let each = |few: u64| match few {
        all if all == count => "all".to_owned(),
        few => few.to_string(),
    };
    let decided = match (milder, stricter) {
        (0, 0) => format!("all {would} as they were"),
        (milder, 0) => format!("{} {would} more mildly{rest}", each(milder)),
        (0, stricter) => format!("{} {would} more strictly{rest}", each(stricter)),
        (milder, stricter) => {
            format!("{milder} {would} more mildly and {stricter} more strictly{rest}")
        }
    };
    format!("Of the {newest}{count} recorded requests{when}, {decided}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_would_have_done_is_said_of_the_past_and_in_number() {
        let said = |requests, milder, stricter, complete| {
            let replayed = PolicyReplay {
                requests,
                complete,
                milder,
                stricter,
                changes: Vec::new(),
            };
            tried(&replayed, " of the last 30 days")
        };
        for (is, ought) in [
            (
                said(312, 15, 0, true),
                "Of the 312 recorded requests of the last 30 days, 15 would have been decided more mildly, the rest as they were.",
            ),
            (
                said(312, 0, 1, false),
                "Of the newest 312 recorded requests of the last 30 days, 1 would have been decided more strictly, the rest as they were.",
            ),
            (
                said(4, 1, 2, true),
                "Of the 4 recorded requests of the last 30 days, 1 would have been decided more mildly and 2 more strictly, the rest as they were.",
            ),
            (
                said(3, 1, 2, true),
                "Of the 3 recorded requests of the last 30 days, 1 would have been decided more mildly and 2 more strictly.",
            ),
            (
                said(2, 2, 0, true),
                "Of the 2 recorded requests of the last 30 days, all would have been decided more mildly.",
            ),
            (
                said(2, 0, 0, true),
                "Of the 2 recorded requests of the last 30 days, all would have been decided as they were.",
            ),
            (
                said(1, 1, 0, true),
                "The one recorded request of the last 30 days would have been decided more mildly.",
            ),
            (
                said(1, 0, 1, false),
                "The newest recorded request of the last 30 days would have been decided more strictly.",
            ),
            (
                said(1, 0, 0, true),
                "The one recorded request of the last 30 days would have been decided as it was.",
            ),
        ] {
            assert_eq!(is, ought);
        }
    }
}
