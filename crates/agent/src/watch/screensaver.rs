//! Screen savers: KDE's and the common one (org.freedesktop.ScreenSaver), and GNOME's, say on the session's bus when they
//! cover the screen. Any program of the session can say the same; all that it gets is a locked vault.

use std::sync::Arc;

use futures_util::StreamExt;
use zbus::{Connection, MatchRule, MessageStream, message::Type};

use super::{Source, heard, lock};
use crate::{agent::Agent, vault::Because};

const INTERFACES: [&str; 2] = ["org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver"];

/// Listens until the bus goes away.
pub(super) async fn listen(agent: &Arc<Agent>) -> zbus::Result<()> {
    let bus = zbus::connection::Builder::session().build().await?;
    let [common, gnome] = INTERFACES;
    let (mut common, mut gnome) = (signals(&bus, common).await?, signals(&bus, gnome).await?);
    heard(agent, Source::ScreenSaver);
    loop {
        let signal = tokio::select! {
            Some(signal) = common.next() => signal?,
            Some(signal) = gnome.next() => signal?,
            else => return Ok(()),
        };
        if signal.body().deserialize::<bool>().unwrap_or(false) {
            lock(agent, Because::Screen).await;
        }
    }
}

async fn signals(bus: &Connection, interface: &'static str) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .interface(interface)
        .member("ActiveChanged")
        .build()?;
    MessageStream::for_match_rule(rule, bus, None).await
}
