//! Screen savers say on the session's bus when they cover the screen: KDE's as the common one (org.freedesktop.ScreenSaver), those
//! of GNOME, Cinnamon, MATE and Xfce by names of their own, which all end alike. Any program of the session can say the same; all that it gets is a locked vault.

use std::sync::Arc;

use futures_util::StreamExt;
use zbus::{Connection, MatchRule, MessageStream, message::Type};

use super::{Source, heard, lock};
use crate::{agent::Agent, vault::Because};

/// The last word of the interface's name, before which stands whose it is.
const INTERFACE: &str = ".ScreenSaver";

/// Listens until the bus goes away.
pub(super) async fn listen(agent: &Arc<Agent>) -> zbus::Result<()> {
    let bus = zbus::connection::Builder::session().build().await?;
    let mut signals = signals(&bus).await?;
    heard(agent, Source::ScreenSaver);
    while let Some(signal) = signals.next().await {
        let signal = signal?;
        let header = signal.header();
        let interface = header.interface().map(|name| name.as_str());
        if !interface.is_some_and(|name| name.ends_with(INTERFACE)) {
            continue;
        }
        if signal.body().deserialize::<bool>().unwrap_or(false) {
            lock(agent, Because::Screen).await;
        }
    }
    Ok(())
}

async fn signals(bus: &Connection) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .member("ActiveChanged")
        .build()?;
    MessageStream::for_match_rule(rule, bus, None).await
}
