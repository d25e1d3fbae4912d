//! Touchkeep's desktop shell: two windows and a native dialog. It is a client of the agent and holds no key; what the web
//! views show is what the agent said, and what they may ask for is the short list of commands in `commands/`.
//!
//! Two rules shape it. **A secret never enters a web view**: PINs and passphrases are typed into GTK entries
//! ([`secret_dialog`]) and go from there to the agent. **The approval window can approve and refuse and nothing else**: it
//! is a window of its own with a capability of its own, and this side keeps the guard against a click that was meant for
//! something else ([`questions`]), whatever the page does.
//!
//! Read in this order: [`start`], [`link`], [`questions`], [`windows`], `commands/`.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

mod commands;
mod link;
mod navigation;
mod questions;
mod secret_dialog;
mod start;
mod trouble;
mod windows;

use std::process::ExitCode;

use tauri::{Manager, RunEvent};

use crate::{link::Link, start::CannotStart};

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|arg| arg == "--version")
    {
        say(&format!("touchkeep-desktop {}", env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("touchkeep-desktop: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run() -> Result<(), CannotStart> {
    start::check(&|name| std::env::var_os(name))?;
    start::harden().map_err(CannotStart::Harden)?;
    gtk::init().map_err(|_| CannotStart::DisplayRefused)?;
    let app = tauri::Builder::default()
        .plugin(navigation::guard())
        .invoke_handler(commands::handler())
        .setup(|app| {
            app.manage(Link::new(app.handle().clone()));
            windows::open_main(app.handle())?;
            link::keep(app.handle().clone());
            Ok(())
        })
        .build(tauri::generate_context!())
        .map_err(CannotStart::Tauri)?;
    app.run(|app, event| match event {
        RunEvent::WindowEvent { label, event, .. } => windows::on_event(app, &label, &event),
        // A PIN that is being typed outlives the main window.
        RunEvent::ExitRequested {
            code: None, api, ..
        } if secret_dialog::any_open() => api.prevent_exit(),
        _ => {}
    });
    Ok(())
}

#[expect(
    clippy::print_stderr,
    reason = "before there is a window there is only the terminal"
)]
fn say(line: &str) {
    eprintln!("{line}");
}
