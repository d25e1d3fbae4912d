//! Which call goes where. A method that is not in the table of its channel does not exist there.

use std::{future::Future, sync::Arc};

use serde_json::value::RawValue;
use touchkeep_core::Code;
use touchkeep_wire::{
    AddClient, AddItem, AnswerPrompt, Call, CheckReminders, CreateVault, Diagnose, Done,
    ExportPublicKey, Failure, GetPolicy, GetStatus, Hello, ListAudit, ListClients, ListDevices,
    ListItems, ListPrompts, ListReminders, LockVault, RemoveItem, RevokeClient, SetApiKey,
    SetDevicePin, SetPolicy, StopAgent, UnlockVault, VerifyAudit,
};

use super::{
    Channel,
    connection::{raw, read_params},
};
use crate::{
    agent::Agent,
    calls::{audit, clients, devices, doctor, items, policy, remind},
    vault,
};

pub(super) async fn dispatch(
    agent: &Arc<Agent>,
    channel: Channel,
    method: &str,
    params: Box<RawValue>,
) -> Result<Box<RawValue>, Failure> {
    match method {
        GetStatus::METHOD => call(params, |GetStatus {}| async { Ok(agent.status()) }).await,
        StopAgent::METHOD => call(params, |StopAgent {}| stop(agent)).await,
        CreateVault::METHOD => call(params, |new| vault::create(agent, new)).await,
        UnlockVault::METHOD => {
            call(params, |UnlockVault { path, device }| {
                vault::unlock(agent, path, device)
            })
            .await
        }
        LockVault::METHOD => call(params, |LockVault {}| lock(agent)).await,
        ListDevices::METHOD => call(params, |ListDevices {}| devices::list(agent)).await,
        SetDevicePin::METHOD => {
            call(params, |SetDevicePin { serial }| {
                devices::set_pin(agent, serial)
            })
            .await
        }
        ListItems::METHOD => call(params, |ListItems {}| async { items::list(agent) }).await,
        AddItem::METHOD => call(params, |item| items::add(agent, item)).await,
        SetApiKey::METHOD => {
            call(params, |SetApiKey { item, api_key }| {
                items::set_api_key(agent, item, api_key)
            })
            .await
        }
        RemoveItem::METHOD => call(params, |RemoveItem { item }| items::remove(agent, item)).await,
        ExportPublicKey::METHOD => {
            call(params, |ExportPublicKey { item }| async move {
                items::public_key(agent, &item)
            })
            .await
        }
        AddClient::METHOD => call(params, |client| clients::add(agent, client)).await,
        ListClients::METHOD => call(params, |ListClients {}| async { clients::list(agent) }).await,
        RevokeClient::METHOD => {
            call(params, |RevokeClient { client }| {
                clients::revoke(agent, client)
            })
            .await
        }
        GetPolicy::METHOD => call(params, |GetPolicy {}| async { policy::get(agent) }).await,
        SetPolicy::METHOD => call(params, |SetPolicy { text }| policy::set(agent, text)).await,
        ListAudit::METHOD => call(params, |query| audit::list(agent, query)).await,
        VerifyAudit::METHOD => {
            call(params, |VerifyAudit { file }| audit::verify(agent, file)).await
        }
        ListReminders::METHOD => {
            call(params, |ListReminders {}| async { remind::list(agent) }).await
        }
        CheckReminders::METHOD => call(params, |CheckReminders {}| remind::check(agent)).await,
        Diagnose::METHOD => call(params, |Diagnose {}| doctor::diagnose(agent)).await,
        ListPrompts::METHOD => {
            call(params, |ListPrompts {}| async {
                Ok(agent.prompts().list())
            })
            .await
        }
        AnswerPrompt::METHOD if channel == Channel::FrontEnds => {
            call(params, |AnswerPrompt { prompt, answer }| async move {
                agent.prompts().answer(prompt, answer)?;
                Ok(Done {})
            })
            .await
        }
        AnswerPrompt::METHOD => Err(Failure::new(
            Code::NotPermitted,
            "Questions are answered by front ends only.",
            "Use the desktop, or run: touchkeep approve",
        )),
        Hello::METHOD => Err(Failure::new(
            Code::NotPermitted,
            "The greeting is said once, first.",
            "",
        )),
        _ => Err(Failure::new(
            Code::NotPermitted,
            "The agent does not know this call.",
            "Restart the agent, so that both sides are of one version.",
        )),
    }
}

async fn lock(agent: &Arc<Agent>) -> Result<Done, Failure> {
    vault::lock(agent).await.map(|_| Done {})
}

async fn stop(agent: &Arc<Agent>) -> Result<Done, Failure> {
    vault::lock(agent).await?;
    agent.stop();
    Ok(Done {})
}

async fn call<C, F>(
    params: Box<RawValue>,
    handle: impl FnOnce(C) -> F + Send,
) -> Result<Box<RawValue>, Failure>
where
    C: Call,
    F: Future<Output = Result<C::Result, Failure>> + Send,
{
    let result = handle(read_params::<C>(params)?).await?;
    raw(&result)
}
