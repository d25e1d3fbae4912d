//! Asking for a PIN or a passphrase in a native dialog. What is typed goes from the entry to the agent; no web view, no
//! clipboard and no log sees it.
//!
//! Read in this order: this file, `form` (what is said and asked for), `fields` (what is typed).

mod fields;
mod form;

use std::{cell::RefCell, collections::HashMap, time::Duration};

use gtk::{
    glib::{ControlFlow, Propagation},
    prelude::*,
};
use tauri::{AppHandle, Manager};
use touchkeep_core::{Clock, PromptId, SystemClock, UnixMillis};
use touchkeep_wire::{Answer, Prompt};

use self::{
    fields::Fields,
    form::{Form, form},
};
use crate::link::Link;

/// What is said of a question is this high at most; the rest of it scrolls, so that no dialog is higher than its screen.
const SAID_HEIGHT: i32 = 260;
/// Characters in a line of it.
const LINE: i32 = 52;

thread_local! {
    // GTK belongs to the main thread, and so do its dialogs.
    static OPEN: RefCell<HashMap<PromptId, gtk::Window>> = RefCell::new(HashMap::new());
}

/// Whether somebody is typing. Only on the main thread.
pub(crate) fn any_open() -> bool {
    OPEN.with_borrow(|open| !open.is_empty())
}

/// Asks.
pub(crate) fn open(app: &AppHandle, prompt: Prompt) {
    let handle = app.clone();
    let _ = app.run_on_main_thread(move || {
        let Some(form) = form(&prompt.question) else {
            return;
        };
        if OPEN.with_borrow(|open| open.contains_key(&prompt.id)) {
            return;
        }
        let (window, fields) = build(&handle, &prompt, &form);
        OPEN.with_borrow_mut(|open| open.insert(prompt.id, window.clone()));
        window.show_all();
        fields.begin();
        window.present();
    });
}

/// The question is closed.
pub(crate) fn close(app: &AppHandle, prompt: PromptId) {
    let handle = app.clone();
    let _ = app.run_on_main_thread(move || forget(&handle, prompt));
}

/// The agent is gone, and with it every question.
pub(crate) fn close_all(app: &AppHandle) {
    let handle = app.clone();
    let _ = app.run_on_main_thread(move || {
        let ids: Vec<_> = OPEN.with_borrow(|open| open.keys().copied().collect());
        for id in ids {
            forget(&handle, id);
        }
    });
}

/// Brings the dialogs to the front.
pub(crate) fn present(app: &AppHandle) {
    let _ = app.run_on_main_thread(|| {
        OPEN.with_borrow(|open| open.values().for_each(GtkWindowExt::present))
    });
}

fn forget(app: &AppHandle, prompt: PromptId) {
    if take_down(prompt) {
        leave(app);
    }
}

// Whether it was there.
fn take_down(prompt: PromptId) -> bool {
    let window = OPEN.with_borrow_mut(|open| open.remove(&prompt));
    // What was typed and not sent is wiped with its entry, see `fields`.
    window.map(|window| window.close()).is_some()
}

// Without a window nothing is left to do.
fn leave(app: &AppHandle) {
    if !any_open() && app.webview_windows().is_empty() {
        app.exit(0);
    }
}

fn build(app: &AppHandle, prompt: &Prompt, form: &Form) -> (gtk::Window, Fields) {
    let window = gtk::Window::new(gtk::WindowType::Toplevel);
    window.set_title(&format!("Touchkeep: {}", form.title));
    window.set_type_hint(gtk::gdk::WindowTypeHint::Dialog);
    window.set_position(gtk::WindowPosition::Center);
    window.set_keep_above(true);
    window.set_resizable(false);
    window.set_default_size(440, -1);
    let cancel = gtk::Button::with_label("Cancel");
    let fields = lay_out(&window, prompt, form, &cancel);
    let id = prompt.id;
    fields.connect({
        let app = app.clone();
        move |value| {
            take_down(id);
            answer(&app, id, Answer::Secret { value });
        }
    });
    cancel.connect_clicked({
        let app = app.clone();
        move |_| refuse(&app, id)
    });
    window.connect_key_press_event({
        let app = app.clone();
        move |_, event| {
            if event.keyval() == gtk::gdk::keys::constants::Escape {
                refuse(&app, id);
                return Propagation::Stop;
            }
            Propagation::Proceed
        }
    });
    window.connect_delete_event({
        let app = app.clone();
        move |_, _| {
            // Closed by the window manager: a refusal, unless it is us who close it.
            let ours = OPEN.with_borrow_mut(|open| open.remove(&id)).is_none();
            if !ours {
                answer(&app, id, Answer::Refuse {});
            }
            Propagation::Proceed
        }
    });
    (window, fields)
}

fn lay_out(window: &gtk::Window, prompt: &Prompt, form: &Form, cancel: &gtk::Button) -> Fields {
    let column = gtk::Box::new(gtk::Orientation::Vertical, 12);
    column.set_border_width(20);
    column.add(&said(form));
    // What is to be typed is never scrolled away.
    if !form.text.is_empty() {
        column.add(&paragraph(&form.text));
    }
    if let Some(last_try) = form.last_try {
        let last_try = paragraph(last_try);
        last_try.set_attributes(Some(&bold(1.0)));
        column.add(&last_try);
    }
    let fields = Fields::new(form, &column);
    let buttons = gtk::Box::new(gtk::Orientation::Horizontal, 8);
    buttons.pack_start(&time_left(prompt), true, true, 0);
    buttons.add(cancel);
    buttons.add(fields.ok());
    column.add(&buttons);
    window.add(&column);
    fields
}

// What it is for.
fn said(form: &Form) -> gtk::Widget {
    let lines = gtk::Box::new(gtk::Orientation::Vertical, 8);
    let heading = paragraph(&form.heading);
    heading.set_attributes(Some(&bold(1.15)));
    lines.add(&heading);
    for detail in &form.details {
        lines.add(&paragraph(&format!("\u{2022} {detail}")));
    }
    if !form.is_long() {
        return lines.upcast();
    }
    let scrolled = gtk::ScrolledWindow::new(gtk::Adjustment::NONE, gtk::Adjustment::NONE);
    scrolled.set_policy(gtk::PolicyType::Never, gtk::PolicyType::Automatic);
    scrolled.set_propagate_natural_height(true);
    scrolled.set_max_content_height(SAID_HEIGHT);
    // That there is more below is seen without a pointer over it, and reached by the keyboard.
    scrolled.set_overlay_scrolling(false);
    scrolled.set_can_focus(true);
    scrolled.add(&lines);
    scrolled.upcast()
}

// How long it waits, because it is gone after that.
fn time_left(prompt: &Prompt) -> gtk::Label {
    let label = gtk::Label::new(None);
    label.set_xalign(0.0);
    let (id, deadline, shown) = (prompt.id, prompt.deadline, label.clone());
    let show = move || shown.set_text(&closes_in(deadline, SystemClock.now()));
    show();
    gtk::glib::timeout_add_local(Duration::from_secs(1), move || {
        if !OPEN.with_borrow(|open| open.contains_key(&id)) {
            return ControlFlow::Break;
        }
        show();
        ControlFlow::Continue
    });
    label
}

fn closes_in(deadline: UnixMillis, now: UnixMillis) -> String {
    let seconds = deadline.since(now).div_ceil(1000);
    format!("Closes in {}:{:02}", seconds / 60, seconds % 60)
}

fn paragraph(text: &str) -> gtk::Label {
    let label = gtk::Label::new(Some(text));
    label.set_line_wrap(true);
    label.set_line_wrap_mode(gtk::pango::WrapMode::WordChar);
    label.set_max_width_chars(LINE);
    label.set_xalign(0.0);
    label
}

fn bold(scale: f64) -> gtk::pango::AttrList {
    let attributes = gtk::pango::AttrList::new();
    attributes.insert(gtk::pango::AttrInt::new_weight(gtk::pango::Weight::Bold));
    attributes.insert(gtk::pango::AttrFloat::new_scale(scale));
    attributes
}

fn refuse(app: &AppHandle, prompt: PromptId) {
    take_down(prompt);
    answer(app, prompt, Answer::Refuse {});
}

fn answer(app: &AppHandle, prompt: PromptId, answer: Answer) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        // Where the agent does not take it, the question is closed already; what follows is asked anew.
        let _ = app.state::<Link>().answer(prompt, answer).await;
        // Only now: an end before would lose it.
        let handle = app.clone();
        let _ = app.run_on_main_thread(move || leave(&handle));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_is_rounded_up_and_ends_at_none() {
        for (now, said) in [
            (0, "Closes in 2:00"),
            (60_001, "Closes in 1:00"),
            (119_999, "Closes in 0:01"),
            (200_000, "Closes in 0:00"),
        ] {
            assert_eq!(closes_in(UnixMillis(120_000), UnixMillis(now)), said);
        }
    }
}
