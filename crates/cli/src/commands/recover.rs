//! `recover`: the kit is made and shown, and counts once it has opened the vault.

use std::{io::IsTerminal, path::Path, process::ExitCode, sync::atomic::AtomicBool};

use touchkeep_client::vault::meant;
use touchkeep_core::{
    Code,
    text::{quoted, surely_visible, visible},
    time::rfc3339,
};
use touchkeep_wire::{
    EnrollDevice, Failure, GetStatus, Kit, ListRecovery, MakeKit, ProveDevice, ProveKit, Rehearsal,
    SecretText, UnlockWithKit, WayBack as Way,
};
use zeroize::Zeroizing;

use super::{
    Context, Done, counted,
    device::needs_a_person,
    items::secret_from,
    paper,
    vault::{absolute, choose_device},
};
use crate::{
    args::{Recover, WayBack},
    output::Style,
    terminal::{Echo, Line, Terminal},
};

/// Words of a kit.
const WORDS: usize = 24;
/// How often words may be typed wrongly before it is left for another time.
const TRIES: usize = 5;

pub(super) async fn recover(context: &Context<'_>, verb: Recover) -> Done {
    match verb {
        Recover::Kit { page } => kit(context, page.as_deref()).await,
        Recover::Drill { device, words_fd } => drill(context, device, words_fd).await,
        Recover::List => {
            let ways = context.call(ListRecovery {}).await?;
            context.output.result(&ways, |ways| {
                let rows: Vec<_> = ways.iter().map(row).collect();
                context
                    .output
                    .table(&["DEVICE", "KIND", "LAST TRIED"], &rows)
            });
            Ok(ExitCode::SUCCESS)
        }
        Recover::Unlock { path, words_fd } => {
            let path = path.or_else(meant);
            let path = path.map(|path| absolute(&path)).transpose()?;
            let at = match &path {
                Some(path) => path.clone(),
                None => context.call(GetStatus {}).await?.path,
            };
            // Before anybody types 24 words for nothing.
            if Path::new(&at).symlink_metadata().is_err() {
                return Err(Failure::new(
                    Code::NoVault,
                    format!("There is no vault at {}.", quoted(&at)),
                    "Name the vault's file: touchkeep recover unlock FILE",
                ));
            }
            let words = words(context, words_fd)?;
            let summary = context
                .call_as_front_end(UnlockWithKit { path, words })
                .await?;
            context.output.result(&summary, |summary| {
                format!(
                    "Open: {}\nNext: touchkeep device enroll DEVICE, and retire what is lost.",
                    visible(&summary.path)
                )
            });
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn row(way: &Way) -> Vec<String> {
    vec![
        surely_visible(&way.device.label),
        way.device.kind.clone(),
        way.tried.map_or_else(|| "never".into(), rfc3339),
    ]
}

/// What `init` ends with. Said before anything is made, so that nobody is left half-way.
pub(super) fn chosen(
    context: &Context<'_>,
    wanted: Option<WayBack>,
    practice: bool,
) -> Result<WayBack, Failure> {
    let interactive = !context.global.no_interaction && std::io::stdin().is_terminal();
    match wanted {
        Some(WayBack::Later) => Ok(WayBack::Later),
        None if practice => Ok(WayBack::Later),
        Some(_) | None if !interactive => Err(needs_a_person(
            "A vault is finished when a way back has been tried. Run it at a terminal, or add: --recovery later",
        )),
        Some(way) => Ok(way),
        None => Ok(WayBack::Kit),
    }
}

/// The end of `init`.
pub(super) async fn after_init(
    context: &Context<'_>,
    way: WayBack,
    second: &str,
    page: Option<&Path>,
) -> Done {
    let beside = context.beside();
    let done = match way {
        WayBack::Later => {
            context.output.say("No way back yet: if the device is lost, so is the vault. When you have a minute: touchkeep recover kit");
            Ok(ExitCode::SUCCESS)
        }
        WayBack::Kit => {
            context
                .output
                .say("\nNow the way back, in case the device is lost: 24 words on paper.");
            let made = kit(&beside, page).await;
            if made.is_err() {
                context.output.say(
                    "The vault is made; its way back is not. Make it with: touchkeep recover kit",
                );
            }
            made
        }
        WayBack::Device => {
            context
                .output
                .say("\nNow the way back, in case the device is lost. Connect the second device.");
            second_device(&beside, second).await
        }
    };
    // The vault is made, whatever became of this.
    done.or_else(|failure| {
        beside.output.failure(&failure);
        Ok(ExitCode::from(failure.code.exit_code()))
    })
}

// Until it has opened the vault, or somebody leaves it for later: what went wrong can be put right while the question stands.
async fn second_device(context: &Context<'_>, second: &str) -> Done {
    let mut enrolled = None;
    loop {
        let ready = wait_for_enter("Press Enter when it is there, Esc to leave it for later: ")?;
        if ready.is_none() {
            return later(
                context,
                "No second device has opened the vault yet: touchkeep device enroll DEVICE, then touchkeep recover drill --device DEVICE",
            );
        }
        match opens(context, second, &mut enrolled).await {
            Ok(rehearsal) => return proved(context, rehearsal),
            Err(failure) => context.output.failure(&failure),
        }
    }
}

// Enrols the device, unless that was done, and has it open the vault.
async fn opens(
    context: &Context<'_>,
    second: &str,
    enrolled: &mut Option<String>,
) -> Result<Rehearsal, Failure> {
    let device = match enrolled {
        Some(device) => device.clone(),
        None => {
            let device = choose_device(context, second, 18, None).await?;
            let made = context.call_asking(EnrollDevice { device }).await?;
            enrolled.insert(made.device.id.to_string()).clone()
        }
    };
    context.call_asking(ProveDevice { device }).await
}

fn later(context: &Context<'_>, what: &str) -> Done {
    context.output.say(&format!("Left for later. {what}"));
    Ok(ExitCode::from(Code::Refused.exit_code()))
}

async fn kit(context: &Context<'_>, page: Option<&Path>) -> Done {
    let interactive = !context.global.no_interaction && std::io::stdin().is_terminal();
    if !interactive {
        return Err(needs_a_person(
            "The words are shown on a terminal, once. Run it at one.",
        ));
    }
    let made = context.call_as_front_end(MakeKit {}).await?;
    if let Some(page) = page {
        // The kit is enrolled by now, so its words are shown whatever becomes of the page.
        match paper::write_page(page, &made) {
            Ok(()) => context.output.say(&format!(
                "The page to be printed is at {}. It holds the words: remove it once it is on paper.",
                page.display()
            )),
            Err(failure) => context.output.failure(&failure),
        }
    }
    if show(&made)?.is_none() {
        let mark = made.device.mark();
        let what = format!(
            "The kit was not written down, so nobody needs it: touchkeep device retire {mark}"
        );
        return later(context, &what);
    }
    let untried = "This kit has not opened the vault yet: touchkeep recover drill";
    let mut wrong = None;
    for _ in 0..TRIES {
        let label = "Now type the 24 words from the paper (Esc to leave it for later):";
        let Some(words) = typed_words(label, wrong.as_ref())? else {
            return later(context, untried);
        };
        match context.call_as_front_end(ProveKit { words }).await {
            Ok(rehearsal) => return proved(context, rehearsal),
            // Mistyped, or from the paper of another vault.
            Err(failure) if matches!(failure.code, Code::Invalid | Code::NoDevice) => {
                wrong = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    if let Some(failure) = wrong {
        context.output.failure(&failure);
    }
    later(context, untried)
}

// The terminal's other screen, which leaves nothing in the scrollback.
struct OtherScreen<'a>(&'a Terminal);

impl<'a> OtherScreen<'a> {
    fn enter(terminal: &'a Terminal) -> Self {
        terminal.write("\x1b[?1049h\x1b[2J\x1b[H");
        Self(terminal)
    }
}

impl Drop for OtherScreen<'_> {
    fn drop(&mut self) {
        self.0.write("\x1b[2J\x1b[3J\x1b[H\x1b[?1049l");
    }
}

fn show(kit: &Kit) -> Result<Option<()>, Failure> {
    let terminal = Terminal::open().map_err(|_| needs_a_person("Run it at a terminal."))?;
    let _screen = OtherScreen::enter(&terminal);
    for screen in paper::screens(kit, terminal.width())? {
        terminal.write("\x1b[2J\x1b[H");
        terminal.write(&screen.text);
        if wait_for_enter(screen.question)?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(()))
}

fn wait_for_enter(label: &str) -> Result<Option<()>, Failure> {
    let terminal = Terminal::open().map_err(|_| needs_a_person("Run it at a terminal."))?;
    let line = terminal.read_line(label, Echo::Dots, &AtomicBool::new(false), None, |_, _| {});
    match line {
        Ok(Line::Typed(_)) => Ok(Some(())),
        _ => Ok(None),
    }
}

// What was wrong with the words before stands above the question: what is on the first screen is not seen meanwhile.
fn typed_words(label: &str, wrong: Option<&Failure>) -> Result<Option<SecretText>, Failure> {
    let terminal = Terminal::open().map_err(|_| needs_a_person("Run it at a terminal."))?;
    let _screen = OtherScreen::enter(&terminal);
    if let Some(Failure { what, fix, .. }) = wrong {
        terminal.ask(&format!("{what}\n{fix}\n\n"));
    }
    terminal.ask(&format!("{label}\n"));
    let mut words = Zeroizing::new(String::with_capacity(1024));
    loop {
        // Twelve words fit on a line, so it may take two.
        let question = match words.split_whitespace().count() {
            0 => "  ".to_owned(),
            so_far => format!("  {so_far} of {WORDS}, go on: "),
        };
        let line = terminal.read_line(
            &question,
            Echo::Shown,
            &AtomicBool::new(false),
            None,
            |_, _| {},
        );
        match line {
            Ok(Line::Typed(line)) => {
                words.push_str(&line);
                words.push(' ');
            }
            _ => return Ok(None),
        }
        if words.split_whitespace().count() >= WORDS || words.trim().is_empty() {
            return Ok(Some(SecretText::new(words.to_string())));
        }
    }
}

fn words(context: &Context<'_>, fd: Option<i32>) -> Result<SecretText, Failure> {
    if let Some(fd) = fd {
        return secret_from(fd);
    }
    if context.global.no_interaction || !std::io::stdin().is_terminal() {
        return Err(needs_a_person("Run it at a terminal, or add: --words-fd"));
    }
    typed_words("The 24 words (Esc to stop):", None)?.ok_or_else(|| {
        Failure::new(
            Code::Refused,
            "nothing was typed",
            "Nothing was done. Run it again with the paper at hand.",
        )
    })
}

async fn drill(context: &Context<'_>, device: Option<String>, words_fd: Option<i32>) -> Done {
    let rehearsal = match device {
        Some(device) => context.call_asking(ProveDevice { device }).await?,
        None => {
            context.check_open().await?;
            let words = words(context, words_fd)?;
            context.call_as_front_end(ProveKit { words }).await?
        }
    };
    proved(context, rehearsal)
}

fn proved(context: &Context<'_>, rehearsal: Rehearsal) -> Done {
    let output = context.output;
    context.output.result(&rehearsal, |rehearsal| {
        format!(
            "{} {} opened the vault from nothing: {}.",
            output.out(Style::Good, "The way back works."),
            surely_visible(&rehearsal.device.label),
            counted(rehearsal.items.into(), "item")
        )
    });
    if !rehearsal.closed.is_empty() {
        let closed = rehearsal.closed.iter().map(|name| visible(name));
        context.output.say(&format!(
            "It does not open what is sealed in: {}. With the device that does: touchkeep device reseal, which seals it to all that may have it.",
            closed.collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(ExitCode::SUCCESS)
}
