//! Which call goes where. A method that is not in the table of its channel does not exist there.

use std::{future::Future, sync::Arc};

use serde_json::value::RawValue;
use touchkeep_core::Code;
use touchkeep_wire::{AnswerPrompt, Call, Done, Failure, GetStatus, ListPrompts, StopAgent};

use super::{
    Channel,
    connection::{raw, read_params},
};
use crate::{agent::Agent, caller::Caller};

pub(super) async fn dispatch(
    agent: &Arc<Agent>,
    channel: Channel,
    caller: &Caller,
    method: &str,
    params: Box<RawValue>,
) -> Result<Box<RawValue>, Failure> {
    let _ = caller;
    match method {
        GetStatus::METHOD => call(params, |GetStatus {}| async { Ok(agent.status()) }).await,
        StopAgent::METHOD => {
            call(params, |StopAgent {}| async {
                agent.stop();
                Ok(Done {})
            })
            .await
        }
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
        _ => Err(Failure::new(
            Code::NotPermitted,
            "The agent does not know this call.",
            "Restart the agent, so that both sides are of one version.",
        )),
    }
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
