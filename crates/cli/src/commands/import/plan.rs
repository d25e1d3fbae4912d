//! What happens to each row: what was read, joined with what the agent says of it.

use serde::Serialize;
use touchkeep_core::{Code, UnixMillis, text::visible};
use touchkeep_import::{Field, Kind, Proposal, Reason, Row};
use touchkeep_wire::{
    Failure, ImportAction, ImportReport, ImportVerdict, NewImport, NewImportField, OnDuplicate,
    SecretText,
};

use super::source::Opened;
use crate::args::{Duplicates, Import};

/// Everything that is known before and after.
pub(super) struct Plan {
    pub(super) source: Opened,
    pub(super) report: ImportReport,
    pub(super) is_done: bool,
    pub(super) wants_references: bool,
    pub(super) wants_deletion: bool,
    /// Literals that are references now.
    pub(super) replaced: usize,
    pub(super) deleted: bool,
}

/// The schema of `--json`.
#[derive(Serialize)]
pub(super) struct Shown {
    format: &'static str,
    environment: String,
    done: bool,
    items: Vec<ShownItem>,
    rows: Vec<ShownRow>,
    replaced: usize,
    deleted: bool,
    was_plaintext: bool,
}

#[derive(Serialize)]
struct ShownItem {
    kind: &'static str,
    fields: Vec<ShownField>,
    tags: Vec<String>,
    #[serde(flatten)]
    verdict: ImportVerdict,
}

#[derive(Serialize)]
struct ShownField {
    name: String,
    secret: bool,
}

#[derive(Serialize)]
struct ShownRow {
    place: String,
    label: String,
    item: Option<String>,
    reason: Option<String>,
    remarks: Vec<String>,
}

impl Plan {
    pub(super) fn new(source: Opened, report: ImportReport, args: &Import) -> Self {
        Self {
            source,
            report,
            is_done: false,
            wants_references: args.replace_with_references,
            wants_deletion: args.delete_source,
            replaced: 0,
            deleted: false,
        }
    }

    /// Items and what happens to them.
    pub(super) fn items(&self) -> impl Iterator<Item = (&Proposal, &ImportVerdict)> {
        self.source.import.items.iter().zip(&self.report.items)
    }

    /// How many items come into the vault.
    pub(super) fn goes_in(&self) -> usize {
        self.count(ImportAction::Add) + self.count(ImportAction::Update)
    }

    pub(super) fn count(&self, action: ImportAction) -> usize {
        self.report
            .items
            .iter()
            .filter(|verdict| verdict.action == action)
            .count()
    }

    /// The name in the vault that a proposal's values are under; none where they are not.
    pub(super) fn lives_as(verdict: &ImportVerdict) -> Option<&str> {
        match verdict.action {
            ImportAction::Add | ImportAction::Update => Some(&verdict.name),
            ImportAction::Skip if verdict.same => verdict.duplicate_of.as_deref(),
            _ => None,
        }
    }

    /// What a field's value is called in the vault; none where it does not say there what it says in the source.
    pub(super) fn stands_as<'a>(verdict: &'a ImportVerdict, field: &'a Field) -> Option<&'a str> {
        let kept = verdict.kept.iter().find(|kept| kept.field == field.name);
        match kept.filter(|_| !field.secret) {
            None => Some(&field.name),
            Some(kept) => kept.takes.as_ref().map(|_| kept.kept_as.as_str()),
        }
    }

    /// What is to be known of a row.
    pub(super) fn remarks(&self, row: &Row) -> Vec<String> {
        let of_row = row.remarks.iter().map(|remark| remark.words.clone());
        let verdict = row.outcome.as_ref().ok();
        let verdict = verdict.and_then(|at| self.report.items.get(*at));
        let goes_in = |verdict: &&ImportVerdict| {
            matches!(verdict.action, ImportAction::Add | ImportAction::Update)
        };
        let kept = verdict.filter(goes_in).into_iter();
        let kept = kept.flat_map(|verdict| &verdict.kept).filter_map(|kept| {
            let takes = kept.takes.as_ref()?;
            Some(format!(
                "The field {} takes {takes}; what the source says is kept as {}.",
                kept.field, kept.kept_as
            ))
        });
        of_row.chain(kept).collect()
    }

    /// How many literals would become references.
    pub(super) fn replaceable(&self) -> usize {
        if !self.wants_references {
            return 0;
        }
        let kept = self
            .items()
            .filter(|(_, verdict)| Self::lives_as(verdict).is_some());
        let fields =
            kept.flat_map(|(item, verdict)| item.fields.iter().map(move |field| (verdict, field)));
        fields
            .filter(|(verdict, field)| {
                field.span.is_some() && Self::stands_as(verdict, field).is_some()
            })
            .count()
    }

    /// Why a row is not in the vault, if it is not.
    pub(super) fn reason(&self, row: &Row) -> Option<Reason> {
        let at = match &row.outcome {
            Ok(at) => *at,
            Err(reason) => return Some(reason.clone()),
        };
        let verdict = self.report.items.get(at)?;
        let (words, loses) = match verdict.action {
            ImportAction::Refuse => (verdict.refused.clone().unwrap_or_default(), true),
            ImportAction::Skip if verdict.same => ("It is in the vault already.".to_owned(), false),
            ImportAction::Skip => (
                "Another one of that name or key is in the vault: --on-duplicate.".to_owned(),
                true,
            ),
            _ => return None,
        };
        Some(Reason { words, loses })
    }

    /// The rows of which something would be lost with the source.
    pub(super) fn losses(&self) -> Vec<&Row> {
        let loses = |row: &&Row| {
            self.reason(row).is_some_and(|reason| reason.loses)
                || row.remarks.iter().any(|remark| remark.loses)
        };
        self.source.import.rows.iter().filter(loses).collect()
    }

    /// Whether nothing is lost with the source.
    pub(super) fn may_delete(&self) -> Result<(), Failure> {
        if self.source.path.is_dir() {
            return Err(super::source::invalid(
                "a store is not deleted from here",
                "Its entries are encrypted; remove the folder yourself.",
            ));
        }
        if self.source.import.rows.is_empty() {
            return Err(Failure::new(
                Code::Refused,
                format!(
                    "nothing was found in it that the format {} has",
                    self.source.import.format.word()
                ),
                "It may be of another format: --format. To be rid of it all the same, delete it yourself.",
            ));
        }
        let losses = self.losses();
        let Some(first) = losses.first() else {
            return Ok(());
        };
        let why = self.reason(first).map(|reason| reason.words);
        let why = why.or_else(|| {
            first
                .remarks
                .iter()
                .find(|remark| remark.loses)
                .map(|remark| remark.words.clone())
        });
        Err(Failure::new(
            Code::Refused,
            format!(
                "the source has {} {} of which something would be lost, the first at {} ({}): {}",
                losses.len(),
                if losses.len() == 1 { "row" } else { "rows" },
                visible(&first.place),
                visible(&first.label),
                why.unwrap_or_default()
            ),
            "Look at --dry-run; leave --delete-source out, or use --replace-with-references.",
        ))
    }

    /// Takes out what the agent would refuse, so that the rest is one commit.
    pub(super) fn leave_out_refused(&mut self) {
        let refused: Vec<bool> = self
            .report
            .items
            .iter()
            .map(|verdict| verdict.action == ImportAction::Refuse)
            .collect();
        let mut places = Vec::with_capacity(refused.len());
        let mut next = 0;
        for is_refused in &refused {
            places.push((!is_refused).then_some(next));
            next += usize::from(!is_refused);
        }
        for row in &mut self.source.import.rows {
            let Ok(at) = row.outcome else { continue };
            row.outcome = match places.get(at).copied().flatten() {
                Some(place) => Ok(place),
                None => Err(Reason {
                    words: self
                        .report
                        .items
                        .get(at)
                        .and_then(|verdict| verdict.refused.clone())
                        .unwrap_or_default(),
                    loses: true,
                }),
            };
        }
        let mut flags = refused.iter();
        self.source
            .import
            .items
            .retain(|_| !flags.next().copied().unwrap_or(false));
    }

    /// Takes in what the agent did.
    pub(super) fn done(&mut self, report: ImportReport) -> Result<(), Failure> {
        if report.items.len() != self.source.import.items.len() {
            return Err(Failure::new(
                Code::System,
                "the agent answered for other items than were sent",
                "Look at: touchkeep list",
            ));
        }
        self.report = report;
        self.is_done = true;
        Ok(())
    }

    pub(super) fn shown(&self) -> Shown {
        let items = self.items().map(|(item, verdict)| ShownItem {
            kind: item.kind.word(),
            fields: item
                .fields
                .iter()
                .map(|field| ShownField {
                    name: field.name.clone(),
                    secret: field.secret,
                })
                .collect(),
            tags: item.tags.clone(),
            verdict: verdict.clone(),
        });
        let rows = self.source.import.rows.iter().map(|row| ShownRow {
            place: row.place.clone(),
            label: row.label.clone(),
            item: row
                .outcome
                .as_ref()
                .ok()
                .and_then(|at| self.report.items.get(*at))
                .map(|verdict| verdict.name.clone()),
            reason: self.reason(row).map(|reason| reason.words),
            remarks: self.remarks(row),
        });
        Shown {
            format: self.source.import.format.word(),
            environment: self.report.environment.clone(),
            done: self.is_done,
            items: items.collect(),
            rows: rows.collect(),
            replaced: self.replaced,
            deleted: self.deleted,
            was_plaintext: self.source.was_plaintext,
        }
    }
}

pub(super) const fn on_duplicate(wanted: Duplicates) -> OnDuplicate {
    match wanted {
        Duplicates::Skip => OnDuplicate::Skip,
        Duplicates::Update => OnDuplicate::Update,
        Duplicates::Both => OnDuplicate::Both,
    }
}

/// What the class of a key is where nobody says so: a bot trades, and a key that may do more is not used for more.
pub(super) const USUAL_CLASS: &str = "trade";

/// A proposal as it is sent.
pub(super) fn to_wire(item: &Proposal) -> NewImport {
    let mut fields: Vec<NewImportField> = item
        .fields
        .iter()
        .map(|field| field_of(&field.name, field.secret, &field.value))
        .collect();
    let has = |name: &str| item.field(name).is_some();
    let mut add = |name: &str, value: &str| {
        if !has(name) {
            fields.push(field_of(name, false, value));
        }
    };
    if let Some(venue) = &item.venue {
        add("venue", venue);
    }
    if item.kind == Kind::ExchangeKey {
        add("class", item.class.as_deref().unwrap_or(USUAL_CLASS));
        add("key-set", item.key_set.as_deref().unwrap_or(&item.name));
    }
    NewImport {
        name: item.name.clone(),
        kind: item.kind.word().to_owned(),
        tags: item.tags.clone(),
        created: item.created.map(UnixMillis),
        rotate_after_days: item.rotate_after_days,
        plaintext_seen: item.plaintext_seen.map(UnixMillis),
        note: item.note.clone(),
        fields,
    }
}

fn field_of(name: &str, secret: bool, value: &str) -> NewImportField {
    // EXPOSE: to the frame that carries it to the agent.
    NewImportField {
        name: name.to_owned(),
        secret,
        value: SecretText::new(value.to_owned()),
    }
}
