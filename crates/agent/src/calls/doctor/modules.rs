//! PKCS#11 modules: whether each may be loaded, is what it was, and answers. Each is loaded in a child of its own.

use std::{path::Path, time::Duration};

use touchkeep_core::text::visible;
use touchkeep_device::DeviceError;
use touchkeep_device_pkcs11::{
    ModuleFile,
    module::{ModuleError, hash_of},
};
use touchkeep_wire::Finding;

use super::{bounded::Look, finding::Id};
use crate::devices::{Connected, Module, tokens};

/// How long a module may take to be loaded and to list its tokens.
const ANSWERING: Duration = Duration::from_secs(10);

/// What is to be said of the modules, and the serial numbers of the tokens behind them. `load`: it is known what they must be.
pub(super) fn look(modules: &[Module], load: bool) -> (Vec<Finding>, Vec<String>) {
    let asked: Vec<_> = modules
        .iter()
        .map(|module| {
            let module = module.clone();
            // What may not be loaded is not.
            let allowed = load && is_as_it_must_be(&module.file);
            allowed.then(|| Look::start(ANSWERING, move || tokens(&module)))
        })
        .collect();
    let (mut findings, mut serials) = (Vec::new(), Vec::new());
    for (module, asked) in modules.iter().zip(asked) {
        findings.extend(file(&module.file));
        if let Some(asked) = asked {
            let answer = asked.wait();
            if let Some(Ok(tokens)) = &answer {
                serials.extend(tokens.iter().map(Connected::serial));
            }
            findings.push(answers(&module.file.path, answer));
        }
    }
    (findings, serials)
}

fn is_as_it_must_be(module: &ModuleFile) -> bool {
    hash_of(&module.path).is_ok_and(|hash| module.sha256.is_none_or(|before| before == hash))
}

fn file(module: &ModuleFile) -> Vec<Finding> {
    let shown = visible(&module.path.display().to_string());
    let hash = match hash_of(&module.path) {
        Ok(hash) => hash,
        Err(error) => {
            let fix = what_to_do(&error, &shown);
            let finding = Id::ModuleFile.problem(sentence(&error), fix);
            let why = std::error::Error::source(&error).map(ToString::to_string);
            let finding = why
                .into_iter()
                .fold(finding, |finding, why| finding.fact("why", why));
            return vec![finding.fact("module", shown)];
        }
    };
    let name = name(&module.path);
    let mut findings = vec![
        Id::ModuleFile
            .ok(format!(
                "{name} may be loaded: nobody but you and root can have changed it."
            ))
            .fact("module", &shown)
            .fact("sha256", hash),
    ];
    match module.sha256 {
        Some(before) if before != hash => findings.push(
            Id::ModuleChanged
                .problem(
                    format!("{name} is another file than when its token was enrolled, and is not used."),
                    format!(
                        "If you updated it: touchkeep device accept-module {shown}. If nobody did, install it again from a source that you trust."
                    ),
                )
                .fact("module", shown)
                .fact("sha256 then", before)
                .fact("sha256 now", hash),
        ),
        Some(_) => findings.push(
            Id::ModuleChanged.ok(format!("{name} is the file that its token was enrolled with.")),
        ),
        None => {}
    }
    findings
}

fn what_to_do(error: &ModuleError, module: &str) -> String {
    match error {
        ModuleError::Relative => "Write its whole path into the configuration.".into(),
        ModuleError::Unreadable(_) | ModuleError::NotAFile(_) => {
            format!(
                "Install what it belongs to, or correct its path in the configuration: {module}"
            )
        }
        ModuleError::Foreign(place) => format!(
            "Give it back to root: sudo chown root {}",
            visible(&place.display().to_string())
        ),
        ModuleError::WorldWritable(place) => format!(
            "See that it is what it should be; then: sudo chmod o-w {}",
            visible(&place.display().to_string())
        ),
        _ => format!("Correct its path in the configuration: {module}"),
    }
}

fn answers(path: &Path, answer: Option<Result<Vec<Connected>, DeviceError>>) -> Finding {
    let (id, name) = (Id::ModuleAnswers, name(path));
    let finding = match answer {
        Some(Ok(tokens)) => {
            let finding = match tokens.len() {
                0 => id.note(
                    format!("{name} works, and sees no token."),
                    "Connect the token, or look at the module's own configuration.",
                ),
                1 => id.ok(format!("{name} works, and sees one token.")),
                count => id.ok(format!("{name} works, and sees {count} tokens.")),
            };
            tokens.iter().fold(finding, |finding, token| finding.fact("token", visible(&token.label())))
        }
        Some(Err(error)) => id
            .problem(
                format!("{name} does not work."),
                "See that it is a PKCS#11 module for this machine, and that what it needs (a service, a configuration) is there.",
            )
            .fact("why", reason(&error)),
        None => id.problem(
            format!("{name} did not answer within {} seconds.", ANSWERING.as_secs()),
            "It was left alone. See that the device or the service that it waits for is there, or take it out of the configuration.",
        ),
    };
    finding.fact("module", visible(&path.display().to_string()))
}

/// An error as a sentence of its own.
fn sentence(error: &ModuleError) -> String {
    let text = error.to_string();
    match text.strip_prefix("the ") {
        Some(rest) => format!("The {rest}."),
        None => format!("{text}."),
    }
}

/// The module's own words, as far as its first sentence: PKCS#11 explains its codes at length.
fn reason(error: &DeviceError) -> String {
    let text = match error {
        DeviceError::Middleware(text) => text.clone(),
        other => other.to_string(),
    };
    let first = text.split(". ").next().unwrap_or_default();
    visible(first.trim_end_matches('.'))
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    format!("The module {}", visible(&name.to_string_lossy()))
}
