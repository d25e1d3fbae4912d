//! logind (org.freedesktop.login1): sleep, with a delay that is held until the keys are wiped; session locks; user switches.

use std::{collections::HashMap, sync::Arc};

use futures_util::StreamExt;
use zbus::{
    Connection, MatchRule, Message, MessageStream, ObjectPath, OwnedFd, OwnedObjectPath,
    OwnedVariant, Variant, message::Type,
};

use super::{Source, heard, lock};
use crate::{agent::Agent, vault::Because};

const NAME: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Listens until the bus goes away.
pub(super) async fn listen(agent: &Arc<Agent>) -> zbus::Result<()> {
    let bus = zbus::connection::Builder::system().build().await?;
    let mut sleep = signals(&bus, MANAGER, "PrepareForSleep").await?;
    let mut locks = signals(&bus, SESSION, "Lock").await?;
    let mut changes = signals(&bus, PROPERTIES, "PropertiesChanged").await?;
    // Asked for after the signals are, so that none is missed; and it shows that somebody is there to send them.
    let mut delay = Some(inhibit(&bus).await?);
    heard(agent, Source::Logind);
    loop {
        tokio::select! {
            Some(signal) = sleep.next() => {
                if signal?.body().deserialize::<bool>()? {
                    lock(agent, Because::Sleep).await;
                    // The machine sleeps once everybody has let go.
                    drop(delay.take());
                } else {
                    delay = Some(inhibit(&bus).await?);
                }
            }
            Some(signal) = locks.next() => {
                if is_ours(&bus, &signal?).await {
                    lock(agent, Because::Screen).await;
                }
            }
            Some(signal) = changes.next() => {
                let signal = signal?;
                if let Some(because) = meaning(&signal)
                    && is_ours(&bus, &signal).await
                {
                    lock(agent, because).await;
                }
            }
            else => return Ok(()),
        }
    }
}

async fn signals(
    bus: &Connection,
    interface: &'static str,
    member: &'static str,
) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(NAME)
        .interface(interface)
        .member(member)
        .path_namespace(PATH)
        .build()?;
    MessageStream::for_match_rule(rule, bus, None).await
}

// A descriptor that keeps the machine awake until it is closed, or logind's patience is over.
async fn inhibit(bus: &Connection) -> zbus::Result<OwnedFd> {
    let what = (
        "sleep",
        "Touchkeep",
        "Wipes its keys before the machine sleeps",
        "delay",
    );
    bus.call_method(Some(NAME), PATH, Some(MANAGER), "Inhibit", &what)
        .await?
        .body()
        .deserialize()
}

// What a change of a session's properties means.
fn meaning(signal: &Message) -> Option<Because> {
    let body = signal.body();
    let (interface, changed, _): (String, HashMap<String, Variant<'_>>, Vec<String>) =
        body.deserialize().ok()?;
    if interface != SESSION {
        return None;
    }
    let is = |name: &str, wanted: bool| matches!(changed.get(name), Some(Variant::Bool(is)) if *is == wanted);
    if is("Active", false) {
        Some(Because::UserSwitch)
    } else if is("LockedHint", true) {
        Some(Because::Screen)
    } else {
        None
    }
}

// Whether a signal is of a session of our user.
async fn is_ours(bus: &Connection, signal: &Message) -> bool {
    let header = signal.header();
    let Some(path) = header.path() else {
        return false;
    };
    match owner(bus, path).await {
        // A session without a seat, over the network, has nobody in front of it whom a screen or a switch could be about.
        Ok((uid, seat)) => uid == rustix::process::geteuid().as_raw() && !seat.is_empty(),
        Err(error) => {
            tracing::debug!(%error, "a session's user is not known");
            false
        }
    }
}

// A session's user and seat.
async fn owner(bus: &Connection, session: &ObjectPath<'_>) -> zbus::Result<(u32, String)> {
    let property = async |name: &str| -> zbus::Result<OwnedVariant> {
        let answer = bus
            .call_method(
                Some(NAME),
                session,
                Some(PROPERTIES),
                "Get",
                &(SESSION, name),
            )
            .await?;
        answer.body().deserialize()
    };
    let (uid, _): (u32, OwnedObjectPath) = property("User").await?.try_into()?;
    let (seat, _): (String, OwnedObjectPath) = property("Seat").await?.try_into()?;
    Ok((uid, seat))
}
