//! A recovery kit, as it goes on paper: on the terminal's other screen, or as a page to be printed.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use qrcode::{
    EcLevel, QrCode,
    render::{svg, unicode},
};
use touchkeep_core::{Code, time::rfc3339};
use touchkeep_wire::{Failure, Kit};
use zeroize::Zeroizing;

const COLUMNS: usize = 4;

/// The words and the two lines, and on a second screen the code of the first line: each fits a terminal of 80 by 24, whose other
/// screen does not scroll.
///
/// # Errors
/// Never for a kit that the agent made.
pub(super) fn screens(kit: &Kit) -> Result<[Zeroizing<String>; 2], Failure> {
    Ok([words_and_lines(kit), code_screen(kit)?])
}

fn words_and_lines(kit: &Kit) -> Zeroizing<String> {
    // EXPOSE: words and lines, to the terminal's other screen.
    let words: Vec<&str> = kit.words.expose().split(' ').collect();
    let mut text = Zeroizing::new(String::with_capacity(8192));
    let mut line = |s: &str| {
        text.push_str(s);
        text.push_str("\r\n");
    };
    line("RECOVERY KIT: write this on paper, and keep it where you keep a passport.");
    line("Whoever has these words has the vault. They are not shown again.");
    line("");
    for row in 0..words.len().div_ceil(COLUMNS) {
        let cells = (0..COLUMNS).filter_map(|column| {
            let at = row + column * words.len().div_ceil(COLUMNS);
            Some(format!("{:>2} {:<10}", at + 1, words.get(at)?))
        });
        let cells = Zeroizing::new(cells.collect::<Vec<_>>().join("   "));
        line(&format!("   {}", cells.trim_end()));
    }
    line("");
    line("The same for stock age, should Touchkeep be gone. What opens the vault:");
    line(&format!("   {}", kit.unlock_line.expose()));
    line("What opens sealed values:");
    line(&format!("   {}", kit.seal_line.expose()));
    line("");
    line(&format!(
        "   vault {}   kit {}   made {}",
        kit.vault,
        kit.device.mark(),
        rfc3339(kit.made)
    ));
    line("");
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
    QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| Failure::new(Code::System, format!("no QR code: {error}"), ""))
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
        let [text, code] = screens(&kit()).unwrap();
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
