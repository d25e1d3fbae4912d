//! Asking for a PIN or a passphrase in a native dialog. What is typed goes from the entry to the agent; no web view, no
//! clipboard and no log sees it.

use std::{cell::RefCell, collections::HashMap};

use gtk::{glib::Propagation, prelude::*};
use tauri::{AppHandle, Manager};
use touchkeep_core::PromptId;
use touchkeep_wire::{Answer, Prompt, Question, SecretText};

use crate::link::Link;

/// What a dialog says and asks for.
#[derive(Debug, PartialEq, Eq)]
struct Form {
    title: String,
    /// What for, in bold.
    heading: String,
    text: String,
    label: &'static str,
    /// Typed twice, because it is new.
    twice: bool,
    /// This is the last try, which wants a word of its own.
    last_try: bool,
    digits: bool,
}

/// The parts that are read again while a person types.
#[derive(Clone)]
struct Fields {
    first: gtk::Entry,
    second: Option<gtk::Entry>,
    last_try: Option<gtk::CheckButton>,
    hint: gtk::Label,
    ok: gtk::Button,
}

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
        let window = build(&handle, prompt.id, &form);
        OPEN.with_borrow_mut(|open| open.insert(prompt.id, window.clone()));
        window.show_all();
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
    let window = OPEN.with_borrow_mut(|open| open.remove(&prompt));
    let Some(window) = window else {
        return;
    };
    // What was typed and not sent is wiped with its entry, see `take`.
    window.close();
    if !any_open() && app.webview_windows().is_empty() {
        app.exit(0);
    }
}

fn form(question: &Question) -> Option<Form> {
    let form = match question {
        Question::Pin {
            device,
            why,
            tries_left,
        } => Form {
            title: "PIN".to_owned(),
            heading: why.clone(),
            text: pin_text(device, *tries_left),
            label: "PIN",
            twice: false,
            last_try: *tries_left == Some(1),
            digits: true,
        },
        Question::Puk {
            device,
            why,
            tries_left,
        } => Form {
            title: "PUK".to_owned(),
            heading: why.clone(),
            text: puk_text(device, *tries_left),
            label: "PUK",
            twice: false,
            last_try: *tries_left == Some(1),
            digits: true,
        },
        Question::NewPin { device, which } => Form {
            title: format!("New {which}"),
            heading: format!("Choose a new {which}"),
            text: format!("For {device}: 6 to 8 characters. Write it down where your key is not."),
            label: "New",
            twice: true,
            last_try: false,
            digits: true,
        },
        Question::Passphrase { why } => Form {
            title: "Passphrase".to_owned(),
            heading: why.clone(),
            text: String::new(),
            label: "Passphrase",
            twice: false,
            last_try: false,
            digits: false,
        },
        Question::Words { device, why } => Form {
            title: "Words of the recovery kit".to_owned(),
            heading: why.clone(),
            text: format!("{device}: its 24 words, with a blank between them."),
            label: "Words",
            twice: false,
            last_try: false,
            digits: false,
        },
        Question::NewPassphrase {} => Form {
            title: "New passphrase".to_owned(),
            heading: "Choose a passphrase for the vault".to_owned(),
            text: "Whoever has the file and the passphrase has everything in it: \
                   take five or more random words."
                .to_owned(),
            label: "Passphrase",
            twice: true,
            last_try: false,
            digits: false,
        },
        Question::Approval(_) | Question::Use(_) | Question::Touch { .. } => return None,
    };
    Some(form)
}

fn puk_text(device: &str, tries_left: Option<u8>) -> String {
    let tries = match tries_left {
        None => String::new(),
        Some(1) => "\nOne try is left. A wrong PUK leaves only a reset, which destroys its keys."
            .to_owned(),
        Some(tries) => format!("\n{tries} tries are left."),
    };
    format!("{device}{tries}")
}

fn pin_text(device: &str, tries_left: Option<u8>) -> String {
    let tries = match tries_left {
        None => String::new(),
        Some(1) => "\nOne try is left. A wrong PIN blocks the device.".to_owned(),
        Some(tries) => format!("\n{tries} tries are left."),
    };
    format!("{device}{tries}")
}

fn build(app: &AppHandle, prompt: PromptId, form: &Form) -> gtk::Window {
    let window = gtk::Window::new(gtk::WindowType::Toplevel);
    window.set_title(&format!("Touchkeep: {}", form.title));
    window.set_type_hint(gtk::gdk::WindowTypeHint::Dialog);
    window.set_position(gtk::WindowPosition::Center);
    window.set_keep_above(true);
    window.set_resizable(false);
    window.set_default_size(440, -1);
    let cancel = gtk::Button::with_label("Cancel");
    let fields = lay_out(&window, form, &cancel);
    fields.check();
    fields.connect(app, prompt);
    cancel.connect_clicked({
        let app = app.clone();
        move |_| refuse(&app, prompt)
    });
    window.connect_key_press_event({
        let app = app.clone();
        move |_, event| {
            if event.keyval() == gtk::gdk::keys::constants::Escape {
                refuse(&app, prompt);
                return Propagation::Stop;
            }
            Propagation::Proceed
        }
    });
    window.connect_delete_event({
        let app = app.clone();
        move |_, _| {
            // Closed by the window manager: a refusal, unless it is us who close it.
            let ours = OPEN.with_borrow_mut(|open| open.remove(&prompt)).is_none();
            if !ours {
                answer(&app, prompt, Answer::Refuse {});
            }
            Propagation::Proceed
        }
    });
    window
}

fn lay_out(window: &gtk::Window, form: &Form, cancel: &gtk::Button) -> Fields {
    let column = gtk::Box::new(gtk::Orientation::Vertical, 12);
    column.set_border_width(20);
    let heading = paragraph(&form.heading);
    heading.set_attributes(Some(&bold()));
    column.add(&heading);
    if !form.text.is_empty() {
        column.add(&paragraph(&form.text));
    }
    let first = entry(form, form.label, &column);
    let second = form.twice.then(|| entry(form, "Again", &column));
    let last_try = form.last_try.then(|| {
        let check = gtk::CheckButton::with_label("Use the last try");
        column.add(&check);
        check
    });
    let hint = gtk::Label::new(None);
    hint.set_xalign(0.0);
    if form.twice {
        column.add(&hint);
    }
    let ok = gtk::Button::with_label("OK");
    ok.style_context().add_class("suggested-action");
    let buttons = gtk::ButtonBox::new(gtk::Orientation::Horizontal);
    buttons.set_layout(gtk::ButtonBoxStyle::End);
    buttons.set_spacing(8);
    buttons.add(cancel);
    buttons.add(&ok);
    column.add(&buttons);
    window.add(&column);
    Fields {
        first,
        second,
        last_try,
        hint,
        ok,
    }
}

fn paragraph(text: &str) -> gtk::Label {
    let label = gtk::Label::new(Some(text));
    label.set_line_wrap(true);
    label.set_line_wrap_mode(gtk::pango::WrapMode::WordChar);
    label.set_max_width_chars(48);
    label.set_xalign(0.0);
    label
}

fn bold() -> gtk::pango::AttrList {
    let attributes = gtk::pango::AttrList::new();
    attributes.insert(gtk::pango::AttrInt::new_weight(gtk::pango::Weight::Bold));
    attributes.insert(gtk::pango::AttrFloat::new_scale(1.15));
    attributes
}

fn entry(form: &Form, label: &str, column: &gtk::Box) -> gtk::Entry {
    let row = gtk::Box::new(gtk::Orientation::Horizontal, 12);
    let name = gtk::Label::new(Some(label));
    name.set_width_chars(11);
    name.set_xalign(0.0);
    let entry = gtk::Entry::new();
    entry.set_visibility(false);
    entry.set_input_purpose(if form.digits {
        gtk::InputPurpose::Pin
    } else {
        gtk::InputPurpose::Password
    });
    entry.set_hexpand(true);
    name.set_mnemonic_widget(Some(&entry));
    row.add(&name);
    row.add(&entry);
    column.add(&row);
    entry
}

impl Fields {
    fn connect(&self, app: &AppHandle, prompt: PromptId) {
        for entry in [Some(&self.first), self.second.as_ref()]
            .into_iter()
            .flatten()
        {
            entry.connect_changed({
                let fields = self.clone();
                move |_| fields.check()
            });
            entry.connect_activate({
                let fields = self.clone();
                move |_| {
                    if fields.ok.is_sensitive() {
                        fields.ok.clicked();
                    }
                }
            });
        }
        if let Some(last_try) = &self.last_try {
            last_try.connect_toggled({
                let fields = self.clone();
                move |_| fields.check()
            });
        }
        self.ok.connect_clicked({
            let (app, fields) = (app.clone(), self.clone());
            move |_| {
                let value = take(&fields.first);
                if let Some(second) = &fields.second {
                    second.set_text("");
                }
                answer(&app, prompt, Answer::Secret { value });
                forget(&app, prompt);
            }
        });
    }

    fn check(&self) {
        let typed = self.first.text_length() > 0;
        let same = self
            .second
            .as_ref()
            .is_none_or(|second| same_text(&self.first, second));
        let meant = self.last_try.as_ref().is_none_or(|check| check.is_active());
        let started = self
            .second
            .as_ref()
            .is_some_and(|second| second.text_length() > 0);
        self.hint.set_text(if started && !same {
            "The two differ."
        } else {
            ""
        });
        self.ok.set_sensitive(typed && same && meant);
    }
}

// One character at a time: `Entry::text` would leave a whole copy in memory that nobody wipes. GTK's own buffer is wiped
// when its text is replaced (gtkentrybuffer.c, trash_area).
fn take(entry: &gtk::Entry) -> SecretText {
    // No character is longer than four bytes, so the text is written once, into one place.
    let length = i32::from(entry.text_length());
    let mut text = String::with_capacity(usize::from(entry.text_length()) * 4);
    for at in 0..length {
        if let Some(character) = entry.chars(at, at + 1) {
            text.push_str(&character);
        }
    }
    entry.set_text("");
    SecretText::new(text)
}

fn same_text(first: &gtk::Entry, second: &gtk::Entry) -> bool {
    let length = first.text_length();
    length == second.text_length()
        && (0..i32::from(length)).all(|at| first.chars(at, at + 1) == second.chars(at, at + 1))
}

fn refuse(app: &AppHandle, prompt: PromptId) {
    answer(app, prompt, Answer::Refuse {});
    forget(app, prompt);
}

fn answer(app: &AppHandle, prompt: PromptId, answer: Answer) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        // Where the agent does not take it, the question is closed already; what follows is asked anew.
        let _ = app.state::<Link>().answer(prompt, answer).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_try_wants_a_word_of_its_own() {
        let pin = |tries_left| {
            form(&Question::Pin {
                device: "YubiKey 1".into(),
                why: "Unlock the vault".into(),
                tries_left,
            })
            .unwrap()
        };
        assert!(pin(Some(1)).last_try && pin(Some(1)).text.contains("One try is left"));
        assert!(!pin(Some(3)).last_try && pin(Some(3)).text.contains("3 tries are left"));
        assert_eq!(
            (pin(None).heading.as_str(), pin(None).text.as_str()),
            ("Unlock the vault", "YubiKey 1")
        );
    }

    #[test]
    fn what_is_new_is_typed_twice() {
        let new_pin = Question::NewPin {
            device: "YubiKey 1".into(),
            which: "PUK".into(),
        };
        assert!(form(&new_pin).unwrap().twice && form(&new_pin).unwrap().heading.contains("PUK"));
        assert!(form(&Question::NewPassphrase {}).unwrap().twice);
        assert!(
            !form(&Question::Passphrase { why: "w".into() })
                .unwrap()
                .twice
        );
    }
}
