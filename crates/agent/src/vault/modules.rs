//! Modules of the vault's tokens, pinned as they were when a person meant them.

use std::path::Path;

use touchkeep_wire::Failure;

use crate::{agent::Agent, devices::Module, failure};

/// Pins the module by which a device was enrolled, as it was used for that.
pub(crate) fn keep_used_module(agent: &Agent, used: Option<&Module>) -> Result<(), Failure> {
    let pin = used.and_then(|module| Some((&module.file.path, module.file.sha256?)));
    let Some((path, hash)) = pin else {
        return Ok(());
    };
    let kept = agent.state().keep_module(path, &hash.to_string());
    kept.map_err(|error| failure::state(&error))
}

/// Pins a module as it is now: a person has said that this one is meant.
pub(crate) fn keep_module(agent: &Agent, module: &str) -> Result<(), Failure> {
    let path = Path::new(module);
    let hash = touchkeep_device_pkcs11::module::hash_of(path).map_err(|error| {
        let fix = "Name a module that only you or root can change, by its whole path.";
        failure::invalid(format!("{error}."), fix)
    })?;
    let kept = agent.state().keep_module(path, &hash.to_string());
    kept.map_err(|error| failure::state(&error))
}
