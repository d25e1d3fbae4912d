//! Names every command, so that a window without a capability for one is denied it, and says clearly when the pages are
//! not built yet.

use std::path::Path;

const COMMANDS: &[&str] = &[
    "status",
    "start_agent",
    "unlock",
    "lock",
    "items",
    "audit_page",
    "audit_verify",
    "reminders",
    "copy_proxy_address",
    "show_question",
    "current_prompt",
    "approve",
    "allow",
    "refuse",
];

fn main() {
    println!("cargo::rerun-if-changed=../ui/dist");
    if !Path::new("../ui/dist").is_dir() {
        println!(
            "cargo::error=ui/dist is missing: build the pages first, with `npm ci && npm run build` in ui/"
        );
        return;
    }
    let manifest = tauri_build::AppManifest::new().commands(COMMANDS);
    let attributes = tauri_build::Attributes::new().app_manifest(manifest);
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo::error=tauri-build: {error:#}");
    }
}
