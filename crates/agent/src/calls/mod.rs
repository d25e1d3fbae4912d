//! What the calls do, by what they are about. The table of which call goes where is in `channel::methods`.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod clients;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod enrol;
pub(crate) mod environments;
pub(crate) mod export;
pub(crate) mod grants;
pub(crate) mod import;
pub(crate) mod items;
pub(crate) mod join;
pub(crate) mod keys_for;
pub(crate) mod merge;
pub(crate) mod outline;
pub(crate) mod policy;
pub(crate) mod recover;
pub(crate) mod remind;
pub(crate) mod values;
pub(crate) mod venues;
pub(crate) mod webhook;

use std::sync::Arc;

use touchkeep_wire::Failure;

use crate::{
    agent::Agent,
    devices::blocking,
    vault::{Current, Open},
};

/// The open vault, used.
pub(crate) fn open_vault(agent: &Agent) -> Result<(Arc<Current>, Arc<Open>), Failure> {
    let (current, open) = look_at_vault(agent)?;
    open.touch();
    Ok((current, open))
}

/// The open vault, for what a window shows and shows anew by itself with each row of the log: that is no use by a person, and
/// would keep it open for as long as bots go on.
fn look_at_vault(agent: &Agent) -> Result<(Arc<Current>, Arc<Open>), Failure> {
    let current = agent.some_vault()?;
    let open = current.open()?;
    Ok((current, open))
}

/// Works on the vault on a thread for what blocks. Changes wait until no device is worked with, because a touch that is
/// waited for looks at the vault, and everybody else would wait behind the change. For a device that is looked at they do not wait.
pub(crate) async fn change<T: Send + 'static>(
    agent: &Arc<Agent>,
    work: impl FnOnce(&Arc<Agent>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let unused = agent.devices().unused().await;
    let agent = Arc::clone(agent);
    blocking(move || {
        let done = work(&agent);
        drop(unused);
        done
    })
    .await?
}
