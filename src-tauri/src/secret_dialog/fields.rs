//! What is typed, and whether it may be sent.

use std::{cell::Cell, rc::Rc};

use gtk::prelude::*;
use touchkeep_wire::SecretText;

use super::form::{Count, Form, Typed};
use crate::questions::GUARD;

/// The parts that are read again while a person types.
#[derive(Clone)]
pub(super) struct Fields {
    typed: Typed,
    first: gtk::Entry,
    second: Option<gtk::Entry>,
    last_try: Option<gtk::CheckButton>,
    hint: gtk::Label,
    ok: gtk::Button,
    /// Nothing is sent yet: the keys may have been meant for another window.
    guarded: Rc<Cell<bool>>,
}

impl Fields {
    /// Entries in a column.
    pub(super) fn new(form: &Form, column: &gtk::Box) -> Self {
        let first = entry(form.label, column);
        let second = form.typed.is_new().then(|| entry("Again", column));
        let last_try = form.last_try.map(|_| {
            let check = gtk::CheckButton::with_label("Use the last try");
            column.add(&check);
            check
        });
        let hint = gtk::Label::new(None);
        hint.set_xalign(0.0);
        if form.typed != Typed::Known {
            column.add(&hint);
        }
        let ok = gtk::Button::with_label("OK");
        ok.style_context().add_class("suggested-action");
        Self {
            typed: form.typed,
            first,
            second,
            last_try,
            hint,
            ok,
            guarded: Rc::new(Cell::new(true)),
        }
    }

    /// The button that sends it.
    pub(super) const fn ok(&self) -> &gtk::Button {
        &self.ok
    }

    /// The dialog is on the screen from now on.
    pub(super) fn begin(&self) {
        self.first.grab_focus();
        self.check();
        let fields = self.clone();
        gtk::glib::timeout_add_local_once(GUARD, move || {
            fields.guarded.set(false);
            fields.check();
        });
    }

    /// Gives what was typed to `send`.
    pub(super) fn connect(&self, send: impl Fn(SecretText) + 'static) {
        let both = [Some(&self.first), self.second.as_ref()];
        for entry in both.into_iter().flatten() {
            let fields = self.clone();
            entry.connect_changed(move |_| fields.check());
            let fields = self.clone();
            entry.connect_activate(move |entry| fields.entered(entry));
        }
        if let Some(last_try) = &self.last_try {
            let fields = self.clone();
            last_try.connect_toggled(move |_| fields.check());
        }
        let fields = self.clone();
        self.ok.connect_clicked(move |_| {
            let value = take(&fields.first);
            if let Some(second) = &fields.second {
                second.set_text("");
            }
            send(value);
        });
    }

    // Enter: sends what is whole, or goes to the second entry.
    fn entered(&self, entry: &gtk::Entry) {
        if self.ok.is_sensitive() {
            self.ok.clicked();
        } else if let Some(second) = self.second.as_ref().filter(|second| *second != entry) {
            second.grab_focus();
        }
    }

    fn check(&self) {
        let count = count(&self.first, self.typed);
        let second = self.second.as_ref();
        let same = second.is_none_or(|second| same_text(&self.first, second));
        let meant = self.last_try.as_ref().is_none_or(|check| check.is_active());
        let is_whole = self.typed.is_whole(count);
        let has_begun = second.is_some_and(|second| second.text_length() > 0);
        self.hint.set_text(&match is_whole && has_begun && !same {
            true => "The two differ.".to_owned(),
            false => self.typed.progress(count),
        });
        let sendable = is_whole && same && meant && !self.guarded.get();
        self.ok.set_sensitive(sendable);
    }
}

fn entry(label: &str, column: &gtk::Box) -> gtk::Entry {
    let row = gtk::Box::new(gtk::Orientation::Horizontal, 12);
    let name = gtk::Label::new(Some(label));
    name.set_width_chars(11);
    name.set_xalign(0.0);
    let entry = gtk::Entry::new();
    entry.set_visibility(false);
    // Not the purpose `Pin`: a PIN may have letters, and a keyboard on the screen would offer digits alone.
    entry.set_input_purpose(gtk::InputPurpose::Password);
    entry.set_hexpand(true);
    name.set_mnemonic_widget(Some(&entry));
    row.add(&name);
    row.add(&entry);
    column.add(&row);
    entry
}

// One character at a time, as in `take`. Words are counted where words are typed.
fn count(entry: &gtk::Entry, typed: Typed) -> Count {
    let chars = usize::from(entry.text_length());
    let mut count = Count { chars, words: 0 };
    if typed == Typed::Words {
        let mut in_word = false;
        for at in 0..i32::from(entry.text_length()) {
            let is_blank = |text: gtk::glib::GString| text.chars().all(char::is_whitespace);
            let was_in_word =
                std::mem::replace(&mut in_word, !entry.chars(at, at + 1).is_none_or(is_blank));
            count.words += usize::from(in_word && !was_in_word);
        }
    }
    count
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
