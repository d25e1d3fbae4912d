//! `recover`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Recover {
    /// Make a recovery kit: 24 words that open the vault. Ends when they have opened it.
    #[command(
        after_help = "Examples:\n  touchkeep recover kit\n  touchkeep recover kit --page /dev/shm/kit.html    a page to be printed; remove it afterwards"
    )]
    Kit {
        /// Also write a page to be printed. The file holds the words: keep it off disks, and remove it.
        #[arg(long, value_name = "FILE")]
        page: Option<PathBuf>,
    },
    /// Try the way back: open the vault from nothing, with the words of a kit or with another device.
    #[command(
        after_help = "Examples:\n  touchkeep recover drill                      the words of a kit\n  touchkeep recover drill --device 12345678    another device\n  touchkeep recover drill --words-fd 3 3<words.txt"
    )]
    Drill {
        /// Another device, by its serial number or id.
        #[arg(long)]
        device: Option<String>,
        /// Read the words from this file descriptor instead of asking.
        #[arg(long, value_name = "FD", conflicts_with = "device")]
        words_fd: Option<i32>,
    },
    /// The ways back there are, and when each was last tried.
    #[command(after_help = "Examples:\n  touchkeep recover list")]
    List,
    /// Open the vault with the words of a kit, to let a new device in when all others are lost.
    #[command(
        after_help = "Examples:\n  touchkeep recover unlock\n  touchkeep recover unlock ~/copy.touchkeep\n  touchkeep recover unlock --words-fd 3 3<words.txt"
    )]
    Unlock {
        /// The vault file; the one used last where absent.
        path: Option<PathBuf>,
        /// Read the words from this file descriptor instead of asking.
        #[arg(long, value_name = "FD")]
        words_fd: Option<i32>,
    },
}
