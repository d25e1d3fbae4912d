//! What the main window may ask for. It takes no path, no secret and no answer.

use std::{fs::canonicalize, path::Path};

use serde::{Deserialize, Serialize};
use tauri::{AppHandle, State};
use touchkeep_core::Code;
use touchkeep_wire::{
    AuditFilter, AuditPage, AuditVerdict, GetStatus, ItemSummary, KeyAge, ListAudit, ListItems,
    ListReminders, LockVault, Status, UnlockVault, VerifyAudit,
};

use crate::{link::Link, secret_dialog, trouble::Trouble, windows};

/// A page of the audit log to ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    before: Option<u64>,
    limit: u32,
    kinds: Vec<String>,
}

/// How things are, and which other vault than the agent's this window was started for, if it was.
#[derive(Debug, Serialize)]
pub(crate) struct WindowStatus {
    #[serde(flatten)]
    status: Status,
    meant: Option<String>,
}

#[tauri::command]
pub(crate) async fn status(link: State<'_, Link>) -> Result<WindowStatus, Trouble> {
    let status = link.call(GetStatus {}).await?;
    let place = |path: &Path| canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let agents = status
        .vault
        .as_ref()
        .map(|vault| place(Path::new(&vault.path)));
    let meant = touchkeep_client::vault::meant()
        .filter(|meant| agents.as_ref() != Some(&place(meant)))
        .map(|meant| meant.to_string_lossy().into_owned());
    Ok(WindowStatus { status, meant })
}

#[tauri::command]
pub(crate) async fn start_agent(link: State<'_, Link>) -> Result<(), Trouble> {
    link.start().await
}

#[tauri::command]
pub(crate) async fn unlock(link: State<'_, Link>) -> Result<(), Trouble> {
    // The one that the desktop was started for, where it was started for one.
    let meant = touchkeep_client::vault::meant();
    let call = UnlockVault {
        path: meant.map(|path| path.to_string_lossy().into_owned()),
        device: None,
    };
    link.call(call).await.map(|_| ())
}

#[tauri::command]
pub(crate) async fn lock(link: State<'_, Link>) -> Result<(), Trouble> {
    link.call(LockVault {}).await.map(|_| ())
}

#[tauri::command]
pub(crate) async fn items(link: State<'_, Link>) -> Result<Vec<ItemSummary>, Trouble> {
    link.call(ListItems {}).await
}

#[tauri::command]
pub(crate) async fn audit_page(
    link: State<'_, Link>,
    query: AuditQuery,
) -> Result<AuditPage, Trouble> {
    let AuditQuery {
        before,
        limit,
        kinds,
    } = query;
    link.call(ListAudit {
        before,
        limit,
        filter: AuditFilter {
            kinds,
            ..AuditFilter::default()
        },
    })
    .await
}

#[tauri::command]
pub(crate) async fn audit_verify(link: State<'_, Link>) -> Result<AuditVerdict, Trouble> {
    link.call(VerifyAudit { file: None }).await
}

#[tauri::command]
pub(crate) async fn reminders(link: State<'_, Link>) -> Result<Vec<KeyAge>, Trouble> {
    link.call(ListReminders {}).await
}

/// The address comes from the agent and not from the page, so that a page can put nothing of its own on the clipboard.
#[tauri::command]
pub(crate) async fn copy_proxy_address(
    app: AppHandle,
    link: State<'_, Link>,
) -> Result<(), Trouble> {
    let closed = || {
        Trouble::ours(
            Code::NotFound,
            "The proxy does not listen.",
            "Unlock the vault first.",
        )
    };
    let address = link.call(GetStatus {}).await?.proxy.ok_or_else(closed)?;
    app.run_on_main_thread(move || {
        gtk::Clipboard::get(&gtk::gdk::SELECTION_CLIPBOARD).set_text(&address);
    })
    .map_err(|_| {
        let fix = "Copy the address from: touchkeep status";
        Trouble::ours(Code::System, "The clipboard cannot be reached.", fix)
    })
}

#[tauri::command]
pub(crate) async fn show_question(app: AppHandle, link: State<'_, Link>) -> Result<(), Trouble> {
    if !link.questions().is_empty() {
        windows::show_question(&app);
    }
    secret_dialog::present(&app);
    Ok(())
}
