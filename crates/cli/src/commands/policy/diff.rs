//! Two texts, line by line.

/// A line of a difference.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// In both.
    Same(&'a str),
    /// Only in the old one.
    Gone(&'a str),
    /// Only in the new one.
    New(&'a str),
    /// Lines that are in both and far from any change.
    Skipped,
}

// Lines around a change that are shown.
const AROUND: usize = 2;
// Above this the middle is shown as gone and new as a whole: the table would take too long.
const MOST_CELLS: usize = 4_000_000;

/// What changed, with a little around it. Nothing, where nothing did.
pub(super) fn diff<'a>(old: &'a str, new: &'a str) -> Vec<Change<'a>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let ahead = common(old.iter(), new.iter());
    let rest = |lines: &[&'a str]| lines.get(ahead..).unwrap_or_default().to_vec();
    let (mut old_middle, mut new_middle) = (rest(&old), rest(&new));
    let behind = common(old_middle.iter().rev(), new_middle.iter().rev());
    old_middle.truncate(old_middle.len() - behind);
    new_middle.truncate(new_middle.len() - behind);
    if old_middle.is_empty() && new_middle.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<Change<'a>> = old
        .iter()
        .take(ahead)
        .map(|line| Change::Same(line))
        .collect();
    all.extend(middle(&old_middle, &new_middle));
    all.extend(
        old.iter()
            .skip(old.len() - behind)
            .map(|line| Change::Same(line)),
    );
    shortened(all)
}

fn common<'b, 'a: 'b>(
    one: impl Iterator<Item = &'b &'a str>,
    other: impl Iterator<Item = &'b &'a str>,
) -> usize {
    one.zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

// By the longest common subsequence.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Change<'a>> {
    let width = new.len() + 1;
    if old.len().saturating_mul(width) > MOST_CELLS {
        let gone = old.iter().map(|line| Change::Gone(line));
        return gone
            .chain(new.iter().map(|line| Change::New(line)))
            .collect();
    }
    let mut longest = vec![0u32; (old.len() + 1) * width];
    let at = |table: &[u32], o: usize, n: usize| table.get(o * width + n).copied().unwrap_or(0);
    for (o, old_line) in old.iter().enumerate().rev() {
        for (n, new_line) in new.iter().enumerate().rev() {
            let best = if old_line == new_line {
                at(&longest, o + 1, n + 1) + 1
            } else {
                at(&longest, o + 1, n).max(at(&longest, o, n + 1))
            };
            if let Some(cell) = longest.get_mut(o * width + n) {
                *cell = best;
            }
        }
    }
    let (mut o, mut n, mut out) = (0, 0, Vec::new());
    loop {
        out.push(match (old.get(o), new.get(n)) {
            (Some(one), Some(other)) if one == other => {
                (o, n) = (o + 1, n + 1);
                Change::Same(one)
            }
            (Some(one), other)
                if other.is_none() || at(&longest, o + 1, n) >= at(&longest, o, n + 1) =>
            {
                o += 1;
                Change::Gone(one)
            }
            (_, Some(other)) => {
                n += 1;
                Change::New(other)
            }
            _ => return out,
        });
    }
}

fn shortened(all: Vec<Change<'_>>) -> Vec<Change<'_>> {
    let is_same = |change: &Change<'_>| matches!(change, Change::Same(_));
    let changes: Vec<usize> = (0..all.len())
        .filter(|place| all.get(*place).is_some_and(|change| !is_same(change)))
        .collect();
    let mut out = Vec::new();
    for (place, change) in all.into_iter().enumerate() {
        let next = changes.partition_point(|at| *at < place);
        let near = |at: Option<&usize>| at.is_some_and(|at| at.abs_diff(place) <= AROUND);
        if near(changes.get(next)) || near(next.checked_sub(1).and_then(|last| changes.get(last))) {
            out.push(change);
        } else if out.last() != Some(&Change::Skipped) {
            out.push(Change::Skipped);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> String {
        let lines = diff(old, new).into_iter().map(|change| match change {
            Change::Same(line) => format!(" {line}"),
            Change::Gone(line) => format!("-{line}"),
            Change::New(line) => format!("+{line}"),
            Change::Skipped => "…".into(),
        });
        lines.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn lines_that_changed_stand_with_a_little_around_them() {
        assert_eq!(shown("a\nb", "a\nb"), "");
        assert_eq!(shown("", "a"), "+a");
        assert_eq!(shown("a", ""), "-a");
        assert_eq!(
            shown("1\n2\n3\n4\n5\n6\n7", "1\n2\n3\nx\n5\n6\n7"),
            "…| 2| 3|-4|+x| 5| 6|…"
        );
        assert_eq!(
            shown("a\nb\nc\nd\ne\nf\ng\nh\ni", "A\nb\nc\nd\ne\nf\ng\nh\nI"),
            "-a|+A| b| c|…| g| h|-i|+I"
        );
        assert_eq!(shown("a\nb\nc", "b\nc\nd"), "-a| b| c|+d");
    }

    // `diff` is another's: what it takes to make one text of the other is the same number of lines.
    #[test]
    fn it_is_as_short_as_that_of_diff() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        for seed in 0..30u64 {
            let text = |salt: u64| {
                let mut state = seed * 2 + salt + 1;
                let lines = (0..25).map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    format!("{}\n", (state >> 33) % 6)
                });
                lines.collect::<String>()
            };
            let (one, other) = (text(0), text(1));
            std::fs::write(&old, &one).unwrap();
            std::fs::write(&new, &other).unwrap();
            let theirs = std::process::Command::new("diff")
                .arg("-d")
                .args([&old, &new])
                .output()
                .unwrap();
            let theirs = String::from_utf8(theirs.stdout).unwrap();
            let theirs = theirs
                .lines()
                .filter(|line| line.starts_with(['<', '>']))
                .count();
            let ours = diff(&one, &other).into_iter();
            let ours = ours
                .filter(|change| matches!(change, Change::Gone(_) | Change::New(_)))
                .count();
            assert_eq!(ours, theirs, "seed {seed}");
        }
    }
}
