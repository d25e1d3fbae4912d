//! `grant list | ask | add | revoke`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// What is allowed now, to whom, and until when.
    #[command(visible_alias = "ls")]
    #[command(after_help = "Examples:\n  touchkeep grant list")]
    List,
    /// Ask now for what a script will use later, in one question.
    #[command(
        after_help = "For the beginning of a script: a person is asked once whether whatever runs this command may use the items.\n\nExamples:\n  touchkeep grant ask binance-read binance-trade || exit 1"
    )]
    Ask {
        /// Names or ids of items.
        #[arg(required = true)]
        items: Vec<String>,
    },
    /// Allow a program items ahead, where nobody can be asked. A touch, or the passphrase.
    #[command(
        after_help = "The grant is for that file and for what is in it now: a program that was replaced or changed is asked about again. One for a shell, or for another program that runs scripts, covers every script; allow the script itself. It holds on this machine alone. Sealed items, and keys that may move money or make keys, cannot be allowed ahead.\n\nExamples:\n  touchkeep grant add /usr/local/bin/grid-bot binance-read --for 30d\n  touchkeep grant add ~/bin/report.sh binance-read --for 12h"
    )]
    Add {
        /// The program, or a script that begins with #!.
        program: PathBuf,
        /// Names or ids of items.
        #[arg(required = true)]
        items: Vec<String>,
        /// For how long: 30m, 12h, 30d.
        #[arg(long = "for", value_name = "TIME", default_value = "30d", value_parser = seconds)]
        time: u64,
    },
    /// End what was allowed.
    #[command(visible_alias = "rm")]
    #[command(
        after_help = "Examples:\n  touchkeep grant revoke b4xk2mq6lvlzaat446kdx6oq4u\n  touchkeep grant revoke all"
    )]
    Revoke {
        /// Its id, or `all`.
        grant: String,
    },
}

/// `90s`, `30m`, `12h`, `30d`, in seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "write it as 90s, 30m, 12h or 30d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = text
        .strip_suffix(unit)
        .and_then(|number| number.parse().ok())
        .filter(|number| *number > 0)
        .ok_or_else(wrong)?;
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_their_unit() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("30m"), Ok(1800));
        assert_eq!(seconds("8h"), Ok(28_800));
        assert_eq!(seconds("30d"), Ok(2_592_000));
        for bad in [
            "",
            "8",
            "h",
            "0h",
            "-1h",
            "1.5h",
            "8 h",
            "8H",
            "99999999999999999999d",
            "8ü",
        ] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
