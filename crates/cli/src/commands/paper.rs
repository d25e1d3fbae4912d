//! A recovery kit, as it goes on paper: on the terminal's other screen, or as a page to be printed.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use qrcode::{
    EcLevel, QrCode,
    render::{svg, unicode},
};
use touchkeep_core::{Code, time::rfc3339};
use touchkeep_wire::{Failure, Kit};
use zeroize::Zeroizing;

use crate::layout;

/// Columns of a word with its number, and the gap behind it.
const CELL: usize = 16;
/// Columns of the longest line: one for stock age.
const LONGEST: usize = 77;

/// What is shown at a time, and what is asked below it.
pub(super) struct Screen {
    pub(super) text: Zeroizing<String>,
    pub(super) question: &'static str,
}

/// The words and the two lines, and on another screen the code of the first line: each fits a terminal of 80 by 24, whose other
/// screen does not scroll. On a narrower one the lines have a screen of their own.
///
/// # Errors
/// Never for a kit that the agent made.
pub(super) fn screens(kit: &Kit, width: usize) -> Result<Vec<Screen>, Failure> {
    let screen = |text, question| Screen { text, question };
    let (mut words, lines) = (words(kit, width), lines(kit, width));
    let written = "Press Enter when all of it is on paper, Esc to stop: ";
    let mut all = if width >= LONGEST {
        words.push_str(&lines);
        vec![screen(words, written)]
    } else {
        vec![
            screen(words, "Press Enter for the rest of it, Esc to stop: "),
            screen(lines, written),
        ]
    };
    all.push(screen(
        code_screen(kit)?,
        "For a camera, if you want. Press Enter to go on: ",
    ));
    Ok(all)
}

// A sentence, broken at blanks.
fn sentence(text: &mut Zeroizing<String>, sentence: &str, width: usize) {
    text.push_str(&layout::fold(sentence, width).replace('\n', "\r\n"));
    text.push_str("\r\n");
}

fn words(kit: &Kit, width: usize) -> Zeroizing<String> {
    // EXPOSE: the words, to the terminal's other screen.
    let words: Vec<&str> = kit.words.expose().split(' ').collect();
    let mut text = Zeroizing::new(String::with_capacity(8192));
    for said in [
        "RECOVERY KIT: write this on paper, and keep it where you keep a passport.",
        "Whoever has these words has the vault. They are not shown again.",
    ] {
        sentence(&mut text, said, width);
    }
    text.push_str("\r\n");
    let columns = (width / CELL).clamp(1, 4);
    let rows = words.len().div_ceil(columns);
    for row in 0..rows {
        let cells = (0..columns).filter_map(|column| {
            let at = row + column * rows;
            Some(format!("{:>2} {:<10}", at + 1, words.get(at)?))
        });
        let cells = Zeroizing::new(cells.collect::<Vec<_>>().join("   "));
        text.push_str("   ");
        text.push_str(cells.trim_end());
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text
}

fn lines(kit: &Kit, width: usize) -> Zeroizing<String> {
    // EXPOSE: the two lines, to the terminal's other screen.
    let mut text = Zeroizing::new(String::with_capacity(8192));
    for (said, line) in [
        (
            "The same for stock age, should Touchkeep be gone. What opens the vault:",
            kit.unlock_line.expose(),
        ),
        ("What opens sealed values:", kit.seal_line.expose()),
    ] {
        sentence(&mut text, said, width);
        for (at, c) in line.chars().enumerate() {
            if at % (width.min(LONGEST) - 3) == 0 {
                text.push_str(if at == 0 { "   " } else { "\r\n   " });
            }
            text.push(c);
        }
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    let (mark, made) = (kit.device.mark(), rfc3339(kit.made));
    let about = format!("vault {}   kit {mark}   made {made}", kit.vault);
    let about = layout::wrap(&about, width, 3, 3).replace('\n', "\r\n");
    text.push_str(&format!("   {about}\r\n\r\n"));
    text
}

fn code_screen(kit: &Kit) -> Result<Zeroizing<String>, Failure> {
    // EXPOSE: the first line, to the terminal's other screen.
    let code = code(kit.unlock_line.expose())?;
    let drawn = Zeroizing::new(code.render::<unicode::Dense1x2>().build());
    let mut text = Zeroizing::new(String::with_capacity(8192));
    text.push_str("The line that opens the vault, as a code:\r\n");
    for row in drawn.lines() {
        // Dark on light whatever the terminal's colours are, or a camera sees the negative.
        text.push_str(&format!("   \x1b[30;107m{row}\x1b[0m\r\n"));
    }
    Ok(text)
}

/// Writes a page to be printed, readable by its owner alone, where nothing is yet.
///
/// # Errors
/// There is something there already, or it cannot be written.
pub(super) fn write_page(path: &Path, kit: &Kit) -> Result<(), Failure> {
    let text = page(kit)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            Failure::new(
                Code::System,
                format!(
                    "the page could not be written to {}: {error}",
                    path.display()
                ),
                "Write the words down from the screen instead.",
            )
        })
}

fn page(kit: &Kit) -> Result<Zeroizing<String>, Failure> {
    // EXPOSE: words and lines, to the page that its owner asked for.
    let words = kit.words.expose().split(' ').enumerate();
    let words: Zeroizing<String> = Zeroizing::new(
        words
            .map(|(at, word)| format!("<li value=\"{}\">{word}</li>", at + 1))
            .collect(),
    );
    let drawn = |text: &str| -> Result<Zeroizing<String>, Failure> {
        let image = code(text)?
            .render::<svg::Color<'_>>()
            .min_dimensions(220, 220)
            .build();
        // The page is one document; what an XML file begins with has no place in it.
        let start = image.find("<svg").unwrap_or(0);
        Ok(Zeroizing::new(
            image.get(start..).unwrap_or_default().to_owned(),
        ))
    };
    let (unlock, seal) = (kit.unlock_line.expose(), kit.seal_line.expose());
    Ok(Zeroizing::new(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Touchkeep recovery kit</title>\
         <style>body{{font:15px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;color:#000;background:#fff}}\
         ol{{columns:4;padding-left:1.6rem;font-size:1.05rem}}code{{font-size:.8rem;white-space:nowrap}}figcaption code{{white-space:normal;word-break:break-all}}\
         figure{{display:inline-block;width:45%;margin:1rem 2% 0 0;vertical-align:top}}svg{{width:13rem;height:13rem}}\
         h1{{font-size:1.4rem}}@media print{{body{{margin:0 auto}}}}</style>\
         <h1>Touchkeep recovery kit</h1>\
         <p>Whoever has this page has the vault <code>{}</code>. Kit <code>{}</code>, made <span style=\"white-space:nowrap\">{}</span>.</p>\
         <ol>{}</ol>\
         <p>To open the vault: <code>touchkeep recover unlock</code>. To try whether this page still works: \
         <code>touchkeep recover drill</code>.</p>\
         <p>Without Touchkeep, with stock <code>tar</code> and <code>age</code> (README.txt inside the vault file says how):</p>\
         <figure>{}<figcaption>opens the vault<br><code>{unlock}</code></figcaption></figure>\
         <figure>{}<figcaption>opens sealed values<br><code>{seal}</code></figcaption></figure></html>\n",
        kit.vault,
        kit.device.mark(),
        rfc3339(kit.made),
        words.as_str(),
        drawn(unlock)?.as_str(),
        drawn(seal)?.as_str(),
    )))
}

fn code(text: &str) -> Result<QrCode, Failure> {
    QrCode::with_error_correction_level(text, EcLevel::M).map_err(|error| {
        Failure::new(
            Code::System,
            format!("no QR code: {error}"),
            "Leave --page out, and write the words down; they are enough.",
        )
    })
}

#[cfg(test)]
mod tests {
    use touchkeep_core::{DeviceId, UnixMillis, VaultId};
    use touchkeep_wire::SecretText;

    use super::*;

    fn kit() -> Kit {
        let words: Vec<String> = (1..=24).map(|n| format!("word{n}")).collect();
        Kit {
            device: DeviceId::random(),
            words: SecretText::new(words.join(" ")),
            unlock_line: SecretText::new(format!("AGE-SECRET-KEY-1{}", "U".repeat(58))),
            seal_line: SecretText::new(format!("AGE-SECRET-KEY-1{}", "S".repeat(58))),
            made: UnixMillis(1_790_000_000_000),
            vault: VaultId::random(),
            to_reseal: vec![],
        }
    }

    #[test]
    fn every_word_is_shown_with_its_number_and_nothing_scrolls_off_a_small_terminal() {
        let all = screens(&kit(), 80).unwrap();
        let [Screen { text, .. }, Screen { text: code, .. }] = all.as_slice() else {
            panic!("{} screens", all.len());
        };
        for n in 1..=24 {
            assert!(
                text.contains(&format!("{n:>2} word{n} "))
                    || text.contains(&format!("{n:>2} word{n}\r\n")),
                "{n}"
            );
        }
        assert!(
            text.contains(kit().unlock_line.expose()) && text.contains(kit().seal_line.expose())
        );
        let plain = code.replace("\x1b[30;107m", "").replace("\x1b[0m", "");
        for screen in [text.as_str(), plain.as_str()] {
            assert!(
                screen.lines().all(|line| line.chars().count() <= 80),
                "{screen}"
            );
            // One line is left for the question.
            assert!(screen.lines().count() <= 23, "{screen}");
        }
    }

    #[test]
    fn on_a_narrow_terminal_no_word_is_broken_and_no_line_lost() {
        for width in [40, 60, 76] {
            let all = screens(&kit(), width).unwrap();
            let [words, lines, _code] = all.as_slice() else {
                panic!("{} screens", all.len());
            };
            for n in 1..=24 {
                let cell = format!("{n:>2} word{n}");
                let is_there = |line: &str| line.split("   ").any(|one| one.trim() == cell.trim());
                assert!(words.text.lines().any(is_there), "{width}: {cell}");
            }
            let joined = lines.text.replace("\r\n   ", "");
            assert!(joined.contains(kit().unlock_line.expose()), "{joined}");
            assert!(joined.contains(kit().seal_line.expose()), "{joined}");
            for screen in [words, lines] {
                let mut widths = screen.text.lines().map(|line| line.chars().count());
                assert!(widths.all(|taken| taken <= width), "{}", *screen.text);
                assert!(screen.text.lines().count() <= 23, "{}", *screen.text);
            }
        }
    }

    #[test]
    fn a_page_is_private_and_overwrites_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kit.html");
        write_page(&path, &kit()).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("<li value=\"24\">word24</li>") && text.matches("<svg").count() == 2);
        assert!(write_page(&path, &kit()).is_err());
    }
}
