//! `webhook verify`.

use clap::{Args, Subcommand};

use super::grant;

#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// Check a delivery: its headers, and its body on standard input.
    #[command(
        after_help = "The secret is that of an item of the kind api-key, as the sender's console shows it. A delivery is verified once: the same one is refused from then on, after a restart, too.\n\nExamples:\n  touchkeep webhook verify stripe-hook --scheme stripe --header \"Stripe-Signature: $SIGNATURE\" < body\n  touchkeep webhook verify prod-hook --scheme github -H \"X-Hub-Signature-256: $SIGNATURE\" -H \"X-GitHub-Delivery: $ID\" < body\n  touchkeep webhook verify tk://prod/hook --scheme standard -H \"webhook-id: $ID\" -H \"webhook-timestamp: $TIME\" -H \"webhook-signature: $SIGNATURE\" < body\n\nExit codes: 0 its sender signed it, in time, and it is new; 1 it is not taken; 2 usage; 3 locked or no device."
    )]
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Name, id or tk://environment/item of the item that has the secret.
    pub(crate) item: String,
    /// How the sender signs.
    #[arg(long, value_parser = ["stripe", "github", "coinbase-commerce", "standard"])]
    pub(crate) scheme: String,
    /// A header of the delivery. May be repeated.
    #[arg(
        short = 'H',
        long = "header",
        value_name = "NAME: VALUE",
        required = true
    )]
    pub(crate) headers: Vec<String>,
    /// How far the sender's clock may be from this one, before and after, a day at most.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = grant::seconds)]
    pub(crate) tolerance: u64,
    /// Take what the sender signed anew after a failure, though its id was seen before.
    #[arg(long)]
    pub(crate) accept_retries: bool,
}
