//! Every command, by the window that may use it. `build.rs` names them, `capabilities/` lets each window have its own.

mod approval;
mod main_window;

use tauri::{Wry, ipc::Invoke};

/// The commands.
pub(crate) fn handler() -> impl Fn(Invoke<Wry>) -> bool + Send + Sync + 'static {
    tauri::generate_handler![
        main_window::status,
        main_window::start_agent,
        main_window::unlock,
        main_window::lock,
        main_window::items,
        main_window::audit_page,
        main_window::audit_verify,
        main_window::reminders,
        main_window::copy_proxy_address,
        main_window::show_question,
        approval::current_prompt,
        approval::approve,
        approval::allow,
        approval::refuse,
    ]
}
