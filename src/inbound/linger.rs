//! After a refusal: what is left of a body is read and dropped for a while. A connection that is closed while bytes of its
//! sender wait unread is reset, and the answer that was on its way is lost.

use bytes::Bytes;
use http::{HeaderMap, header::EXPECT};
use http_body_util::BodyExt;
use hyper::body::Body;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes that are read and dropped at most: more than any source takes.
const DROPPED_BYTES: usize = 16 * 1024 * 1024;
/// For how long at most.
const WITHIN: Duration = Duration::from_secs(5);

/// Reads on in the background, while the answer goes out. Who asked whether to send a body at all (`Expect`) gets the
/// answer without one.
pub fn linger<B: Body<Data = Bytes> + Send + Unpin + 'static>(headers: &HeaderMap, body: B) {
    if !body.is_end_stream() && !headers.contains_key(EXPECT) {
        tokio::spawn(timeout(WITHIN, drop_all(body)));
    }
}

/// Reads until the end or the bound; how many bytes there were.
async fn drop_all<B: Body<Data = Bytes> + Unpin>(mut body: B) -> usize {
    let mut dropped = 0;
    while dropped < DROPPED_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        dropped += frame.data_ref().map_or(0, Bytes::len);
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use std::convert::Infallible;

    #[tokio::test]
    async fn what_is_read_after_a_refusal_is_bounded() {
        let piece = Bytes::from(vec![0; 1 << 20]);
        let endless = stream::repeat_with(move || Ok::<_, Infallible>(Frame::data(piece.clone())));
        assert_eq!(drop_all(StreamBody::new(endless)).await, DROPPED_BYTES);
        let short = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"abc")))]);
        assert_eq!(drop_all(StreamBody::new(short)).await, 3);
    }
}
