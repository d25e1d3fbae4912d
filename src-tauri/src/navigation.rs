//! A page stays the page that we shipped.

use tauri::{Runtime, plugin::TauriPlugin};

/// Refuses every navigation away from the embedded pages.
///
/// # Why
/// A content security policy does not stop `location.href = …`, and a remote page in a window of ours would look like ours.
pub(crate) fn guard<R: Runtime>() -> TauriPlugin<R> {
    tauri::plugin::Builder::new("navigation")
        .on_navigation(|_, url| is_ours(url))
        .build()
}

fn is_ours(url: &tauri::Url) -> bool {
    url.scheme() == "tauri" && url.host_str() == Some("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_embedded_pages_are_shown() {
        let allowed = |url: &str| is_ours(&url.parse().unwrap());
        assert!(allowed("tauri://localhost/approval.html"));
        for other in [
            "https://example.org/",
            "http://tauri.localhost/",
            "tauri://elsewhere/",
            "file:///etc/passwd",
            "data:text/html,x",
            "about:blank",
        ] {
            assert!(!allowed(other), "{other}");
        }
    }
}
