//! The policy: read by anybody who may talk to the agent, changed with a touch.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_pipeline::Consent;
use touchkeep_policy::Policy;
use touchkeep_wire::{Done, Failure, PolicyText};

use super::{change, open_vault};
use crate::{
    agent::Agent,
    consent, failure,
    ports::LogHistory,
    vault::{POLICY_SETTING, audit_identity, policy_of},
};

pub(crate) fn get(agent: &Arc<Agent>) -> Result<PolicyText, Failure> {
    let (_, open) = open_vault(agent)?;
    let (_, text, readable) = policy_of(&open.read());
    Ok(PolicyText { text, readable })
}

pub(crate) async fn set(agent: &Arc<Agent>, text: String) -> Result<Done, Failure> {
    let policy = Policy::parse(&text).map_err(|error| {
        failure::invalid(
            format!("{error}."),
            "Nothing was changed; correct it and try again.",
        )
    })?;
    open_vault(agent)?;
    let rules = policy.rules().len();
    let why = format!("Replace the policy by one with {rules} rules");
    let consent = consent::of_owner(agent, &why).await?;
    change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let log = current.log().cloned().ok_or_else(failure::locked)?;
        let (how, device) = match consent {
            Consent::Touch(device) => ("touch", device),
            Consent::Passphrase(device) => ("passphrase or PIN", device),
        };
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let event = Event::new(Kind::PolicyChanged, Decision::Touched)
            .text(format!("Replaced the policy by one of {rules} rules."))
            .detail("sha256", HEXLOWER.encode(hash.as_ref()))
            .detail("consent", how)
            .detail("device", device.to_string());
        let identity = audit_identity(&open)?;
        current.change(event, |vault| {
            vault
                .set_setting(POLICY_SETTING, &text)
                .map_err(|error| failure::vault(&error))
        })?;
        open.pipeline
            .set_policy(policy, &LogHistory { log, identity })
            .map_err(|error| failure::read_log(&error))
    })
    .await?;
    agent.prompts().changed("policy");
    Ok(Done {})
}
