//! The two windows: the main one, and the one that asks.

use std::time::{Duration, Instant};

use tauri::{AppHandle, Emitter, Manager, WebviewUrl, WebviewWindowBuilder, WindowEvent};
use touchkeep_wire::{Answer, PromptClosed, PromptWent};

use crate::link::Link;

/// The main window's label.
pub(crate) const MAIN: &str = "main";
/// The approval window's label.
pub(crate) const APPROVAL: &str = "approval";

/// Opens the main window.
pub(crate) fn open_main(app: &AppHandle) -> tauri::Result<()> {
    WebviewWindowBuilder::new(app, MAIN, WebviewUrl::App("index.html".into()))
        .title("Touchkeep")
        .inner_size(1120.0, 760.0)
        .min_inner_size(860.0, 560.0)
        .center()
        .build()
        .map(|_| ())
}

/// Shows the approval window, or tells it that there is a question more.
pub(crate) fn show_question(app: &AppHandle) {
    let handle = app.clone();
    // On the main thread, so that two questions at once do not make two windows.
    let _ = app.run_on_main_thread(move || {
        if let Some(window) = handle.get_webview_window(APPROVAL) {
            let _ = window.emit_to(APPROVAL, "prompt", ());
            let _ = window.show().and_then(|()| window.set_focus());
        } else {
            let _ = open_approval(&handle);
        }
    });
}

/// Tells the approval window how a question ended, and closes it once that was read and nothing more is asked.
pub(crate) fn question_closed(app: &AppHandle, closed: &PromptClosed, stays: Duration) {
    let _ = app.emit_to(APPROVAL, "prompt-closed", closed);
    leave_after(app, stays);
}

/// Tells the approval window how it went with what was answered with yes, and closes it once that was read.
pub(crate) fn question_went(app: &AppHandle, went: &PromptWent, stays: Duration) {
    let _ = app.emit_to(APPROVAL, "prompt-went", went);
    leave_after(app, stays);
}

fn leave_after(app: &AppHandle, stays: Duration) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        tokio::time::sleep(stays).await;
        if app.state::<Link>().questions().may_leave(Instant::now())
            && let Some(window) = app.get_webview_window(APPROVAL)
        {
            let _ = window.destroy();
        }
    });
}

/// A window's events: closing the one that asks is a refusal.
pub(crate) fn on_event(app: &AppHandle, label: &str, event: &WindowEvent) {
    let WindowEvent::CloseRequested { api, .. } = event else {
        return;
    };
    if label != APPROVAL {
        return;
    }
    let asked = app.state::<Link>().questions().shown();
    if let Some(prompt) = asked {
        // It stays until the agent has taken the refusal; then it shows that, and the next question.
        api.prevent_close();
        let app = app.clone();
        tauri::async_runtime::spawn(async move {
            // Where the agent does not take it, the question is closed already, or silence refuses it.
            let _ = app.state::<Link>().answer(prompt, Answer::Refuse {}).await;
        });
    }
}

fn open_approval(app: &AppHandle) -> tauri::Result<()> {
    WebviewWindowBuilder::new(app, APPROVAL, WebviewUrl::App("approval.html".into()))
        .title("Touchkeep asks")
        .inner_size(680.0, 720.0)
        .min_inner_size(520.0, 480.0)
        .center()
        .always_on_top(true)
        .focused(true)
        .build()
        .map(|_| ())
}
