//! The practice exchange's own web site: where its keys are made, and where it shows what it has received.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use touchkeep_core::text::quoted;
use touchkeep_wire::Failure;

use super::broken;

/// A running practice exchange.
pub(super) struct Venue {
    /// Where bots and Touchkeep send requests.
    pub(super) url: String,
    control: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A key that the exchange has made.
#[derive(Deserialize)]
pub(super) struct VenueKey {
    pub(super) api_key: String,
    pub(super) secret: String,
}

impl Venue {
    pub(super) fn new(url: String, control: String) -> Self {
        Self {
            url,
            control,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Makes a key at the exchange, as a person does on its web site.
    pub(super) async fn make_key(
        &self,
        label: &str,
        permissions: &[&str],
    ) -> Result<VenueKey, Failure> {
        let wanted =
            serde_json::json!({ "label": label, "type": "hmac", "permissions": permissions });
        let request = Request::post(format!("{}/keys", self.control))
            .header(header::CONTENT_TYPE, "application/json");
        self.ask(request.body(Full::from(wanted.to_string()))).await
    }

    /// Withdrawals that the exchange has accepted, as it tells it itself.
    pub(super) async fn withdrawals(&self) -> Result<Vec<serde_json::Value>, Failure> {
        self.ask(Request::get(format!("{}/withdrawals", self.control)).body(Full::default()))
            .await
    }

    /// How many requests to withdraw have reached the exchange, accepted or not.
    pub(super) async fn withdraw_requests(&self) -> Result<usize, Failure> {
        let record: Vec<serde_json::Value> = self
            .ask(Request::get(format!("{}/record", self.control)).body(Full::default()))
            .await?;
        let is_withdrawal = |row: &&serde_json::Value| {
            row.get("path")
                .and_then(serde_json::Value::as_str)
                .is_some_and(|path| path.ends_with("/withdraw/apply"))
        };
        Ok(record.iter().filter(is_withdrawal).count())
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
    ) -> Result<T, Failure> {
        let request = request.map_err(|error| broken(error.to_string()))?;
        let answer =
            self.client.request(request).await.map_err(|error| {
                broken(format!("the practice exchange does not answer: {error}"))
            })?;
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| broken(error.to_string()))?
            .to_bytes();
        serde_json::from_slice(&body).map_err(|error| {
            broken(format!(
                "the practice exchange said {}: {error}",
                quoted(&String::from_utf8_lossy(&body))
            ))
        })
    }
}
