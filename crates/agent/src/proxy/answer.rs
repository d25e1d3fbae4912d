//! Bodies of answers: our own, whole, or the venue's, streamed as it comes.

use std::{
    convert::Infallible,
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    HeaderMap, Response,
    body::{Body, Frame, Incoming, SizeHint},
    header::{
        ALT_SVC, CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE,
        TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};
use touchkeep_pipeline::Outcome;

/// A venue that has begun its answer sends more of it within this.
const PART_TIMEOUT: Duration = Duration::from_secs(30);

/// A body that goes to a bot.
pub(crate) type Answer = BoxBody<Bytes, Box<dyn Error + Send + Sync>>;

// Headers of one connection and not of the answer (RFC 9110, 7.6.1), where else the venue is to be had (RFC 7838), and cookies,
// which no key-signed API has.
const NOT_PASSED_ON: [HeaderName; 10] = [
    ALT_SVC,
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    SET_COOKIE,
];

/// A body that is there already.
pub(crate) fn whole(bytes: Bytes) -> Answer {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed()
}

/// The venue's answer, for the bot. What it says of the request is written down on the way.
pub(crate) fn passed_on(venue: Response<Incoming>, outcome: Option<Outcome>) -> Response<Answer> {
    let (mut head, body) = venue.into_parts();
    strip(&mut head.headers);
    head.version = hyper::Version::HTTP_11;
    let body = Bounded::new(body, PART_TIMEOUT);
    let body = match outcome {
        Some(outcome) => BoxBody::new(Heard::new(body, outcome)),
        None => BoxBody::new(body),
    };
    Response::from_parts(head, body)
}

// A body whose parts are looked at as they pass. Where it ends early, or is too long to be read, the status alone is
// written down.
struct Heard<B: Body> {
    body: B,
    parts: Vec<u8>,
    /// How long the whole is, where the venue says it.
    whole: Option<u64>,
    outcome: Option<Outcome>,
}

impl<B: Body> Heard<B> {
    fn new(body: B, outcome: Outcome) -> Self {
        let mut heard = Self {
            whole: body.size_hint().exact(),
            body,
            parts: Vec::new(),
            outcome: Some(outcome),
        };
        heard.note_end();
        heard
    }

    // Before the last part is passed on, so that whoever has the whole answer finds what it said in the log.
    fn note_end(&mut self) {
        if self.body.is_end_stream() || self.whole == u64::try_from(self.parts.len()).ok() {
            self.hear();
        }
    }

    fn hear(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            outcome.heard(std::mem::take(&mut self.parts));
        }
    }

    fn note(&mut self, part: &[u8]) {
        if self.outcome.is_none() {
            return;
        }
        if self.parts.len().saturating_add(part.len()) > Outcome::MAX_BODY_BYTES {
            (self.parts, self.outcome) = (Vec::new(), None);
        } else {
            self.parts.extend_from_slice(part);
        }
    }
}

// The bot's connection may be done with it without asking for its end. What was cut off is no JSON, and leaves it to the
// status.
impl<B: Body> Drop for Heard<B> {
    fn drop(&mut self) {
        self.hear();
    }
}

impl<B> Body for Heard<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(part) = frame.data_ref() {
                    this.note(part);
                }
                this.note_end();
            }
            None => this.hear(),
            // What was cut off says nothing.
            Some(Err(_)) => this.outcome = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// A body of which each part comes in time, or its end is an error: the bot's connection is closed in the middle, so that
// nobody takes a part for the whole.
struct Bounded<B> {
    body: B,
    within: Duration,
    late: Pin<Box<tokio::time::Sleep>>,
}

impl<B> Bounded<B> {
    fn new(body: B, within: Duration) -> Self {
        Self {
            body,
            within,
            late: Box::pin(tokio::time::sleep(within)),
        }
    }
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            let next = tokio::time::Instant::now() + this.within;
            this.late.as_mut().reset(next);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(this.late.as_mut().poll(context));
        Poll::Ready(Some(Err("the venue stopped in the middle".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn strip(headers: &mut HeaderMap) {
    // Headers that `Connection` names are of the connection too.
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    // What the venue lets web pages do there, this proxy does not.
    let of_pages = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let of_pages: Vec<HeaderName> = headers.keys().filter(of_pages).cloned().collect();
    for name in named.iter().chain(&of_pages).chain(&NOT_PASSED_ON) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stalled(Option<Bytes>);

    impl Body for Stalled {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.take() {
                Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
                None => Poll::Pending,
            }
        }
    }

    #[tokio::test]
    async fn a_venue_that_stops_in_the_middle_is_not_waited_for() {
        let body = Stalled(Some(Bytes::from_static(b"{")));
        let mut body = Bounded::new(body, Duration::from_millis(10));
        assert!(body.frame().await.unwrap().is_ok());
        let ended = tokio::time::timeout(Duration::from_secs(30), body.frame()).await;
        assert!(ended.unwrap().unwrap().is_err());
    }

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-hop, keep-alive"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a=b"),
            ("alt-svc", "h3=\":443\""),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "x-hop"),
            ("x-mbx-used-weight", "5"),
        ] {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        strip(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("x-mbx-used-weight"));
    }
}
