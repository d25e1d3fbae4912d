//! Which call goes where. A method that is not in the table of its channel does not exist there.

use std::{future::Future, path::Path, sync::Arc};

use serde_json::value::RawValue;
use touchkeep_core::{
    Code,
    text::{shell_word, visible},
};
use touchkeep_wire::{
    AcceptModule, AddClient, AddEnvironment, AddGrant, AddItem, AnswerPrompt, ArmTradeKeys,
    AskGrant, AttestDevice, BeginBundle, BundleRows, Call, ChangePin, CheckEdit, CheckNewItem,
    CheckReminders, CheckpointAudit, CreateVault, Diagnose, Done, EditItem, EndRests, EnrollDevice,
    ExportItems, ExportPublicKey, Failure, FindItems, GetPolicy, GetStatus, Hello, ImportItems,
    InspectDevice, JoinMembership, KeysFor, ListAudit, ListBackups, ListClients, ListDevices,
    ListEnvironments, ListGrants, ListItems, ListPrompts, ListRecovery, ListReminders, ListVenues,
    ListVersions, LockAll, LockVault, MakeKit, MergeCopy, OutlineCopy, ProveDevice, ProveKit,
    ReadValues, RemoveItem, RenameEnvironment, ResealItems, RestoreBackup, RestoreItem,
    RestoreVersion, RetireDevice, RevokeClient, RevokeGrant, SetApiKey, SetDevicePin, SetPolicy,
    ShowAudit, ShowItem, StopAgent, TrashItem, UnblockPin, UnlockVault, UnlockWithKit, VerifyAudit,
    VerifyWebhook,
};
use touchkeep_wire::{BindClient, OpenClient};
use touchkeep_wire::{CheckPolicy, ExplainPolicy, PolicyUsed, ReplayPolicy, StartingPolicy};

use super::{
    Channel,
    connection::{raw, read_params},
};
use crate::{
    agent::Agent,
    caller::Caller,
    calls::{
        audit, backup, clients, devices, doctor, enrol, environments, export, grants, import,
        items, join, keys_for, merge, outline, policy, recover, remind, values, venues, webhook,
    },
    vault,
};

/// What is for the agent itself or for devices, says which vault it is for, or is for none. Locking is done whatever is open.
const FOR_NO_VAULT: [&str; 21] = [
    GetStatus::METHOD,
    StopAgent::METHOD,
    Diagnose::METHOD,
    CreateVault::METHOD,
    UnlockVault::METHOD,
    UnlockWithKit::METHOD,
    LockVault::METHOD,
    LockAll::METHOD,
    OutlineCopy::METHOD,
    ListPrompts::METHOD,
    AnswerPrompt::METHOD,
    ListVenues::METHOD,
    StartingPolicy::METHOD,
    ListDevices::METHOD,
    InspectDevice::METHOD,
    AttestDevice::METHOD,
    SetDevicePin::METHOD,
    ChangePin::METHOD,
    UnblockPin::METHOD,
    AcceptModule::METHOD,
    KeysFor::METHOD,
];

/// Why a caller who means the vault at `meant` gets nothing of this one.
pub(super) fn is_for_another(agent: &Agent, method: &str, meant: &Path) -> Option<Failure> {
    if FOR_NO_VAULT.contains(&method) {
        return None;
    }
    let ours = agent.vault_path();
    if vault::is_same_file(&ours, meant) {
        return None;
    }
    let (ours, meant) = (ours.display().to_string(), meant.display().to_string());
    Some(Failure::new(
        Code::NotPermitted,
        format!(
            "The agent has the vault {}, and {} is meant.",
            visible(&ours),
            visible(&meant)
        ),
        format!("Open that one: touchkeep unlock {}", shell_word(&meant)),
    ))
}

pub(super) async fn dispatch(
    agent: &Arc<Agent>,
    caller: &Caller,
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
        LockAll::METHOD => call(params, |LockAll {}| lock_all(agent)).await,
        ArmTradeKeys::METHOD => {
            call(params, |ArmTradeKeys { seconds }| {
                vault::arm(agent, seconds)
            })
            .await
        }
        ListDevices::METHOD => call(params, |ListDevices {}| devices::list(agent)).await,
        SetDevicePin::METHOD => {
            call(params, |SetDevicePin { serial }| {
                devices::set_pin(agent, serial)
            })
            .await
        }
        EnrollDevice::METHOD => {
            call(params, |EnrollDevice { device }| {
                enrol::enroll(agent, device)
            })
            .await
        }
        KeysFor::METHOD => {
            call(params, |KeysFor { venue, device }| {
                keys_for::keys_for(agent, venue, device)
            })
            .await
        }
        InspectDevice::METHOD => {
            call(params, |InspectDevice { serial }| {
                devices::inspect(agent, serial)
            })
            .await
        }
        AttestDevice::METHOD => {
            call(params, |AttestDevice { serial }| {
                devices::attest(agent, serial)
            })
            .await
        }
        ChangePin::METHOD => call(params, |change| devices::change_pin(agent, change)).await,
        UnblockPin::METHOD => call(params, |unblock| devices::unblock(agent, unblock)).await,
        RetireDevice::METHOD => {
            call(params, |RetireDevice { device, dry_run }| {
                enrol::retire(agent, device, dry_run)
            })
            .await
        }
        JoinMembership::METHOD => call(params, |wanted| join::join(agent, wanted)).await,
        AcceptModule::METHOD => {
            call(params, |AcceptModule { path }| {
                enrol::accept_module(agent, path)
            })
            .await
        }
        ResealItems::METHOD => {
            call(params, |ResealItems { items }| enrol::reseal(agent, items)).await
        }
        ListRecovery::METHOD => {
            call(params, |ListRecovery {}| async { recover::list(agent) }).await
        }
        ProveDevice::METHOD => {
            call(params, |ProveDevice { device }| {
                recover::prove_device(agent, device)
            })
            .await
        }
        MakeKit::METHOD if channel == Channel::FrontEnds => {
            call(params, |MakeKit {}| recover::make(agent)).await
        }
        ProveKit::METHOD if channel == Channel::FrontEnds => {
            call(params, |ProveKit { words }| recover::prove(agent, words)).await
        }
        UnlockWithKit::METHOD if channel == Channel::FrontEnds => {
            call(params, |UnlockWithKit { path, words }| {
                vault::unlock_with_kit(agent, path, words)
            })
            .await
        }
        MakeKit::METHOD | ProveKit::METHOD | UnlockWithKit::METHOD => Err(Failure::new(
            Code::NotPermitted,
            "A recovery kit is shown to front ends only.",
            "Run: touchkeep recover kit",
        )),
        ListBackups::METHOD => call(params, |ListBackups {}| backup::list(agent)).await,
        RestoreBackup::METHOD => {
            call(params, |RestoreBackup { number, device }| {
                backup::restore(agent, number, device)
            })
            .await
        }
        OutlineCopy::METHOD => {
            call(params, |OutlineCopy { path }| outline::outline(agent, path)).await
        }
        MergeCopy::METHOD => call(params, |MergeCopy { path }| merge::merge(agent, path)).await,
        ListItems::METHOD => call(params, |ListItems {}| async { items::list(agent) }).await,
        AddItem::METHOD => call(params, |item| items::add(agent, item)).await,
        CheckNewItem::METHOD => {
            call(params, |item| async move { items::check_new(agent, item) }).await
        }
        CheckEdit::METHOD => {
            call(params, |edit| async move { items::check_edit(agent, edit) }).await
        }
        FindItems::METHOD => {
            call(params, |FindItems { filter, after }| async move {
                items::find(agent, &filter, after)
            })
            .await
        }
        ShowItem::METHOD => {
            call(params, |ShowItem { item }| async move {
                items::show(agent, &item)
            })
            .await
        }
        EditItem::METHOD => call(params, |edit| items::edit(agent, edit)).await,
        TrashItem::METHOD => call(params, |TrashItem { item }| items::trash(agent, item)).await,
        RestoreItem::METHOD => {
            call(params, |RestoreItem { item, name }| {
                items::restore(agent, item, name)
            })
            .await
        }
        ListVersions::METHOD => {
            call(params, |ListVersions { item }| async move {
                items::versions(agent, &item)
            })
            .await
        }
        RestoreVersion::METHOD => {
            call(params, |RestoreVersion { item, version }| {
                items::restore_version(agent, item, version)
            })
            .await
        }
        ListEnvironments::METHOD => {
            call(params, |ListEnvironments {}| async {
                environments::list(agent)
            })
            .await
        }
        AddEnvironment::METHOD => {
            call(params, |AddEnvironment { name }| {
                environments::add(agent, name)
            })
            .await
        }
        RenameEnvironment::METHOD => {
            call(params, |RenameEnvironment { environment, name }| {
                environments::rename(agent, environment, name)
            })
            .await
        }
        SetApiKey::METHOD => {
            call(params, |SetApiKey { item, api_key }| {
                items::set_api_key(agent, item, api_key)
            })
            .await
        }
        RemoveItem::METHOD => call(params, |RemoveItem { item }| items::remove(agent, item)).await,
        ExportPublicKey::METHOD => {
            call(params, |ExportPublicKey { item, form }| async move {
                items::public_key(agent, &item, form.as_deref())
            })
            .await
        }
        ReadValues::METHOD => call(params, |wanted| values::read(agent, caller, wanted)).await,
        // It says whether a value is in the vault already, so it is no question for every program.
        ImportItems::METHOD if channel == Channel::FrontEnds => {
            call(params, |items| import::import(agent, items)).await
        }
        ExportItems::METHOD if channel == Channel::FrontEnds => {
            call(params, |how| export::export(agent, how)).await
        }
        ImportItems::METHOD | ExportItems::METHOD => Err(Failure::new(
            Code::NotPermitted,
            "Only front ends import and export.",
            "Run: touchkeep import FILE, or touchkeep export FILE",
        )),
        AddClient::METHOD => call(params, |client| clients::add(agent, client)).await,
        ListClients::METHOD => call(params, |ListClients {}| async { clients::list(agent) }).await,
        BindClient::METHOD => call(params, |bind| clients::bind(agent, bind)).await,
        OpenClient::METHOD => call(params, |open| clients::open(agent, caller, open)).await,
        RevokeClient::METHOD => {
            call(params, |RevokeClient { client }| {
                clients::revoke(agent, client)
            })
            .await
        }
        ListGrants::METHOD => call(params, |ListGrants {}| async { grants::list(agent) }).await,
        RevokeGrant::METHOD => {
            call(params, |RevokeGrant { grant }| grants::revoke(agent, grant)).await
        }
        AskGrant::METHOD => {
            call(
                params,
                |AskGrant {
                     items,
                     no_interaction,
                 }| async move {
                    grants::ask(agent, caller, &items, no_interaction).await
                },
            )
            .await
        }
        AddGrant::METHOD => call(params, |grant| grants::add(agent, grant)).await,
        GetPolicy::METHOD => call(params, |GetPolicy {}| async { policy::get(agent) }).await,
        SetPolicy::METHOD => call(params, |SetPolicy { text }| policy::set(agent, text)).await,
        StartingPolicy::METHOD => {
            call(params, |StartingPolicy { name }| async move {
                policy::starting(agent, &name)
            })
            .await
        }
        CheckPolicy::METHOD => {
            call(params, |CheckPolicy { text }| policy::check(agent, text)).await
        }
        PolicyUsed::METHOD => call(params, |asked| policy::used(agent, asked)).await,
        ExplainPolicy::METHOD => call(params, |asked| policy::explain(agent, asked)).await,
        ReplayPolicy::METHOD => call(params, |wanted| policy::replay(agent, wanted)).await,
        ListVenues::METHOD => call(params, |ListVenues {}| async { Ok(venues::list()) }).await,
        ListAudit::METHOD => call(params, |query| audit::list(agent, query)).await,
        VerifyAudit::METHOD => {
            call(params, |VerifyAudit { file }| audit::verify(agent, file)).await
        }
        ShowAudit::METHOD => call(params, |ShowAudit { seq }| audit::show(agent, seq)).await,
        CheckpointAudit::METHOD => {
            call(params, |CheckpointAudit { device }| {
                audit::checkpoint(agent, device)
            })
            .await
        }
        BeginBundle::METHOD => call(params, |bundle| audit::begin_bundle(agent, bundle)).await,
        BundleRows::METHOD => call(params, |rows| audit::bundle_rows(agent, rows)).await,
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
        EndRests::METHOD if channel == Channel::FrontEnds => {
            call(params, |EndRests {}| async {
                Ok(agent.prompts().end_rests())
            })
            .await
        }
        AnswerPrompt::METHOD | EndRests::METHOD => Err(Failure::new(
            Code::NotPermitted,
            "Questions are answered by front ends only.",
            "Use the desktop, or run: touchkeep approve",
        )),
        VerifyWebhook::METHOD => {
            call(params, |delivery| webhook::verify(agent, caller, delivery)).await
        }
        Hello::METHOD => Err(Failure::new(
            Code::NotPermitted,
            "The greeting is said once, first.",
            "Connect anew, and greet once.",
        )),
        _ => Err(Failure::new(
            Code::NotPermitted,
            "The agent does not know this call.",
            "Restart the agent, so that both sides are of one version.",
        )),
    }
}

async fn lock(agent: &Arc<Agent>) -> Result<Done, Failure> {
    vault::lock_because(agent, vault::Because::Asked)
        .await
        .map(|_| Done {})
}

async fn lock_all(agent: &Arc<Agent>) -> Result<Done, Failure> {
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
