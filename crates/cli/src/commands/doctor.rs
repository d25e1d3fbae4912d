//! `doctor`: has the agent look at what Touchkeep stands on, and looks itself where there is no agent. Problems come first.

use std::{io::stdout, process::ExitCode, time::Duration};

use touchkeep_agent::{FindingId, diagnose_alone, pcscd_socket};
use touchkeep_client::Paths;
use touchkeep_core::{Code, text::visible};
use touchkeep_wire::{Diagnose, Diagnosis, Failure, Finding, Level, PROTOCOL, Welcome};

use super::{Done, NAME};
use crate::{
    args::Global,
    layout::{USUAL_WIDTH, width, wrap},
    output::{Output, Style},
    session::Session,
};

/// How long the agent may look: each of its checks has a shorter end of its own.
const PATIENCE: Duration = Duration::from_secs(60);
/// As much of the agent's log as a finding shows.
const LOG_CHARS: usize = 300;

pub(super) async fn doctor(all: bool, output: Output) -> Done {
    let diagnosis = diagnosis().await;
    output.result(&diagnosis, |diagnosis| {
        let width = width(stdout()).unwrap_or(USUAL_WIDTH).min(100);
        render(&diagnosis.findings, all, width, output)
    });
    let sick = |finding: &Finding| finding.level == Level::Problem;
    Ok(match diagnosis.findings.iter().any(sick) {
        true => ExitCode::from(Code::Refused.exit_code()),
        false => ExitCode::SUCCESS,
    })
}

async fn diagnosis() -> Diagnosis {
    let paths = match touchkeep_values::ask::paths() {
        Ok(paths) => paths,
        Err(failure) => {
            let findings = vec![unreachable(&failure)];
            return Diagnosis { findings };
        }
    };
    match asked().await {
        Ok((welcome, seen)) => {
            let mut findings = about_the_agent(&welcome, &seen.findings);
            findings.extend(seen.findings);
            Diagnosis { findings }
        }
        Err(failure) => {
            let first = with_last_words(unreachable(&failure), &paths);
            let rest = tokio::task::spawn_blocking(move || diagnose_alone(&paths)).await;
            let rest = rest.map(|rest| rest.findings).unwrap_or_default();
            let findings = std::iter::once(first).chain(rest).collect();
            Diagnosis { findings }
        }
    }
}

async fn asked() -> Result<(Welcome, Diagnosis), Failure> {
    let session = Session::start(NAME, Global::default()).await?;
    let seen = tokio::time::timeout(PATIENCE, session.call(Diagnose {})).await;
    let seen = seen.map_err(|_| {
        Failure::new(
            Code::Unreachable,
            format!(
                "The agent has not finished looking after {} seconds.",
                PATIENCE.as_secs()
            ),
            "Restart it: touchkeep agent stop",
        )
    })??;
    Ok((session.welcome().clone(), seen))
}

fn unreachable(failure: &Failure) -> Finding {
    let what = match failure.what.trim_end_matches('.') {
        what if what.starts_with("the agent") => format!("T{}.", what.trim_start_matches('t')),
        what if what.starts_with("The agent") => format!("{what}."),
        what => format!("The agent cannot be used: {what}."),
    };
    FindingId::AgentReach.problem(what, failure.fix.clone())
}

/// The last line of the agent's log that is not what to do says why it ended. It holds no secret.
fn with_last_words(finding: Finding, paths: &Paths) -> Finding {
    let log = std::fs::read(paths.log_file()).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let says_what = |line: &&str| !line.trim().is_empty() && !line.starts_with("  ");
    match log.lines().rfind(says_what) {
        Some(line) => {
            let shown: String = visible(line.trim()).chars().take(LOG_CHARS).collect();
            finding.fact("its log ends with", shown)
        }
        None => finding,
    }
}

fn about_the_agent(welcome: &Welcome, seen: &[Finding]) -> Vec<Finding> {
    let ours = env!("CARGO_PKG_VERSION");
    let version = if welcome.version == ours {
        FindingId::AgentVersion.ok("The agent is of the version of this program.")
    } else {
        FindingId::AgentVersion.warning(
            "The agent is of another version than this program.",
            "Restart it: touchkeep agent stop",
        )
    };
    let reach = FindingId::AgentReach.ok("The agent runs and answers.");
    let mut findings = vec![
        reach.fact("process", welcome.pid),
        version
            .fact("agent", visible(&welcome.version))
            .fact("this program", ours)
            .fact("protocol", PROTOCOL),
    ];
    findings.extend(other_pcscd(seen));
    findings
}

/// The agent keeps the environment that it was started in; a terminal with another one wonders why nothing is found.
fn other_pcscd(seen: &[Finding]) -> Option<Finding> {
    let facts = seen
        .iter()
        .filter(|finding| finding.id.starts_with("pcscd."));
    let mut facts = facts.flat_map(|finding| &finding.facts);
    let (_, of_agent) = facts.find(|(name, _)| name == "socket")?;
    let ours = visible(&pcscd_socket().0.display().to_string());
    (*of_agent != ours).then(|| {
        FindingId::AgentEnvironment
            .warning(
                "The agent looks for pcscd elsewhere than this terminal would: it was started in another environment.",
                "Restart it from here: touchkeep agent stop",
            )
            .fact("agent", of_agent)
            .fact("this terminal", ours)
    })
}

/// Problems first, then what will bite, then what is good to know; what is in order by its names, or in full where `all` is
/// wanted; and the sum.
fn render(findings: &[Finding], all: bool, width: usize, output: Output) -> String {
    let at = |level: Level| {
        findings
            .iter()
            .filter(move |finding| finding.level == level)
    };
    let worst_first = [Level::Problem, Level::Warning, Level::Note];
    let mut blocks: Vec<String> = worst_first
        .into_iter()
        .chain(all.then_some(Level::Ok))
        .flat_map(at)
        .map(|finding| block(finding, width, output))
        .collect();
    if !all && at(Level::Ok).next().is_some() {
        let names = Vec::from_iter(at(Level::Ok).map(|finding| finding.id.as_str()));
        blocks.push(in_order(names, width, output));
    }
    blocks.push(sum(findings, output));
    blocks.join("\n\n")
}

fn block(finding: &Finding, width: usize, output: Output) -> String {
    let (mark, style) = look(finding.level);
    let head = format!("{mark} {}", finding.id);
    let what = wrap(&finding.what, width, head.chars().count() + 2, 2);
    let mut block = format!("{}  {what}", output.out(style, &head));
    if !finding.fix.is_empty() {
        block.push_str(&format!("\n  → {}", wrap(&finding.fix, width, 4, 4)));
    }
    let said = |value: &str| finding.what.contains(value) || finding.fix.contains(value);
    for (name, value) in finding.facts.iter().filter(|(_, value)| !said(value)) {
        let fact = wrap(&format!("{name}: {value}"), width, 2, 4);
        block.push_str(&format!("\n  {}", output.out(Style::Quiet, &fact)));
    }
    block
}

fn look(level: Level) -> (char, Style) {
    match level {
        Level::Problem => ('✗', Style::Bad),
        Level::Warning => ('!', Style::Warn),
        Level::Note => ('·', Style::Strong),
        Level::Ok => ('✓', Style::Good),
    }
}

fn in_order(mut names: Vec<&str>, width: usize, output: Output) -> String {
    names.dedup();
    let names = wrap(&names.join(", "), width, 2, 2);
    format!("{} {names}", output.out(Style::Good, "✓"))
}

fn sum(findings: &[Finding], output: Output) -> String {
    let count = |level: Level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let counted = |level, one: &str| match count(level) {
        0 => None,
        1 => Some(format!("1 {one}")),
        many => Some(format!("{many} {one}s")),
    };
    let parts: Vec<String> = [
        counted(Level::Problem, "problem"),
        counted(Level::Warning, "warning"),
        counted(Level::Note, "note"),
    ]
    .into_iter()
    .flatten()
    .chain([format!("{} in order", count(Level::Ok))])
    .collect();
    let style = match findings.iter().map(|finding| finding.level).max() {
        Some(Level::Problem) => Style::Bad,
        Some(Level::Warning) => Style::Warn,
        _ => Style::Good,
    };
    output.out(style, &format!("{}.", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_the_sum_last() {
        let findings = [
            FindingId::CardPin.ok("fine"),
            FindingId::CardPuk.ok("fine"),
            FindingId::CardFirmware.note("old", ""),
            FindingId::VaultMode.warning("open", "close it"),
            FindingId::PcscdSocket
                .problem("gone", "start it")
                .fact("socket", "/s"),
        ];
        let shown = render(&findings, false, 80, Output::new(false));
        assert_eq!(
            shown,
            "✗ pcscd.socket  gone\n  → start it\n  socket: /s\n\n! vault.mode  open\n  → close it\n\n\
             · card.firmware  old\n\n✓ card.pin, card.puk\n\n1 problem, 1 warning, 1 note, 2 in order."
        );
        assert!(render(&findings, true, 80, Output::new(false)).contains("✓ card.pin  fine"));
    }
}
