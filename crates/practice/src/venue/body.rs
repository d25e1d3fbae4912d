//! The body of an answer: whole, none, or one that breaks off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{Empty, Full};
use hyper::body::{Frame, SizeHint};

/// One of the three.
pub(crate) enum Body {
    Whole(Full<Bytes>),
    Empty(Empty<Bytes>),
    Torn(Torn),
}

/// Some bytes, and then an error instead of the rest.
pub(crate) struct Torn {
    half: Option<Bytes>,
    is_flushed: bool,
}

impl Torn {
    /// Half of this.
    pub(crate) fn half(text: String) -> Self {
        let mut bytes = Bytes::from(text);
        bytes.truncate(bytes.len() / 2);
        Self {
            half: Some(bytes),
            is_flushed: false,
        }
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.half.take(), self.is_flushed) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            // What was given is sent when there is nothing more for the moment, and not if an error follows at once.
            (None, false) => {
                self.is_flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            (None, true) => Poll::Ready(Some(Err(io::Error::other("torn, as ordered")))),
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let never = |never: std::convert::Infallible| match never {};
        match self.get_mut() {
            Self::Whole(full) => Pin::new(full)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(never))),
            Self::Empty(empty) => Pin::new(empty)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(never))),
            Self::Torn(torn) => torn.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::Empty(_) => true,
            Self::Torn(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::Empty(empty) => empty.size_hint(),
            Self::Torn(_) => SizeHint::default(),
        }
    }
}
