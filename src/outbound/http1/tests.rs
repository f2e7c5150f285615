//! Exchanges over memory, in virtual time.

use super::*;
use crate::{clock::SystemClock, model::Cause, outbound::HEAD_LIMIT};
use http::{HeaderMap, Method};
use proptest::prelude::*;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::timeout,
};

/// Virtual time after which an exchange counts as one that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of an exchange.
#[derive(Debug, PartialEq)]
struct Exchanged {
    status: u16,
    body: Vec<u8>,
    /// Whether the connection may be used again.
    rests: bool,
}

fn request(method: Method) -> OutboundRequest {
    OutboundRequest { method, headers: HeaderMap::new(), body: "{}".into() }
}

fn target() -> Target {
    Target::parse("http://example.com/hook").unwrap()
}

async fn exchange(connection: &mut Http1<DuplexStream>, method: Method) -> Result<Exchanged, Failure> {
    let request = request(method);
    let mut answer = match connection.send(&target(), &request, &SystemClock).await {
        Ok(answer) => answer,
        Err(Unanswered::Failed(failure)) => return Err(failure),
        Err(Unanswered::Unsent) => panic!("unsent"),
    };
    let whole = connection.receive(&request, &mut answer.body).await?;
    let rests = connection.rest() && whole;
    Ok(Exchanged { status: answer.status.as_u16(), body: answer.body.finish().0.to_vec(), rests })
}

/// The receiver's side: takes a request, says its pieces, and closes unless it `stays`.
async fn answer(mut peer: DuplexStream, pieces: Vec<Vec<u8>>, stays: bool) {
    assert!(peer.read(&mut [0; 1024]).await.unwrap() > 0);
    for piece in pieces {
        if peer.write_all(&piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    if stays {
        let _ = peer.read_to_end(&mut Vec::new()).await;
    }
}

async fn exchanged(method: Method, pieces: Vec<Vec<u8>>, stays: bool) -> Result<Exchanged, Failure> {
    let (ours, theirs) = duplex(64);
    let peer = tokio::spawn(answer(theirs, pieces, stays));
    let result = timeout(PATIENCE, exchange(&mut Http1::over(ours, true), method)).await;
    peer.await.unwrap();
    result.unwrap_or_else(|_| Err(Failure::new(Cause::HeadersTimeout, "it hangs")))
}

/// An answer in one piece and byte by byte, from a receiver that closes the connection only if it must.
async fn both(method: &Method, said: &str, stays: bool) -> Result<Exchanged, Failure> {
    let at_once = exchanged(method.clone(), vec![said.into()], stays).await;
    let bytewise = said.bytes().map(|byte| vec![byte]).collect();
    assert_eq!(at_once, exchanged(method.clone(), bytewise, stays).await, "{said}");
    at_once
}

#[tokio::test(start_paused = true)]
async fn answers_of_every_form_are_read() {
    let hundred = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{}\r\nab", "a: b\r\n".repeat(99));
    let interims = format!("{}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", "HTTP/1.1 103 Early\r\nlink: x\r\n\r\n".repeat(16));
    for (said, status, body, rests) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", 200, "ab", true),
        ("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200, "", true),
        ("HTTP/1.1 200 \r\nContent-Length: 2, 2\r\ncontent-length: 2\r\n\r\nab", 200, "ab", true),
        ("HTTP/1.1 200 OK\ncontent-length: 2\n\nab", 200, "ab", true),
        ("\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", 200, "ab", true),
        ("HTTP/1.1 204 None\r\ncontent-length: 5\r\n\r\n", 204, "", true),
        ("HTTP/1.1 304 Same\r\ntransfer-encoding: chunked\r\n\r\n", 304, "", true),
        ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nab", 200, "ab", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab", 200, "ab", false),
        ("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 2\r\n\r\nab", 200, "ab", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nt: u\r\nv: w\r\n\r\n", 200, "ab", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 200, "ab", false),
        (hundred.as_str(), 200, "ab", true),
        (interims.as_str(), 200, "ab", true),
    ] {
        let expected = Exchanged { status, body: body.into(), rests };
        assert_eq!(both(&Method::POST, said, true).await, Ok(expected), "{said}");
    }
    let closed = Exchanged { status: 200, body: "abc".into(), rests: false };
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
    ] {
        assert_eq!(both(&Method::POST, &format!("{head}abc"), false).await.as_ref(), Ok(&closed), "{head}");
    }
    let headless = both(&Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true).await;
    assert_eq!(headless, Ok(Exchanged { status: 200, body: Vec::new(), rests: true }));
}

#[tokio::test(start_paused = true)]
async fn broken_answers_are_refused_however_they_are_cut() {
    let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(17);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    for (said, words) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nab", "contradict"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nab", "contradict"),
        ("HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\nab", "content-length is invalid"),
        ("HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nab", "content-length is invalid"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2,\r\n\r\nab", "content-length is invalid"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nab", "content-length is invalid"),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.0"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", "malformed"),
        ("HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n", "header"),
        ("HTTP/1.1 200 OK\r\na : b\r\n\r\n", "header"),
        ("HTTP/1.1 200 OK\r\na: b\0\r\n\r\n", "header"),
        ("HTTP/1.1 099 Odd\r\n\r\n", "status"),
        ("HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", "another protocol"),
        ("HTTP/2.0 200 OK\r\n\r\n", "not HTTP/1"),
        (flood.as_str(), "interim"),
        (many.as_str(), "larger than allowed"),
    ] {
        let failure = both(&Method::POST, said, true).await.unwrap_err();
        assert_eq!(failure.cause, Cause::BadAnswer, "{said}: {}", failure.detail);
        assert!(failure.detail.contains(words), "{said}: {}", failure.detail);
    }
    for said in ["a: b\r\n".repeat(100_000), format!("a: {}", "b".repeat(2 * HEAD_LIMIT)), "\r\n".repeat(HEAD_LIMIT)] {
        let head = if said.starts_with('a') { "HTTP/1.1 200 OK\r\n" } else { "" };
        let pieces = format!("{head}{said}").as_bytes().chunks(1000).map(<[u8]>::to_vec).collect();
        let failure = exchanged(Method::POST, pieces, true).await.unwrap_err();
        assert_eq!(failure, head::too_large());
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_in_the_middle_is_a_disconnection() {
    for (said, words) in [
        ("", "before an answer"),
        ("H", "within the answer's headers"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "within the answer's headers"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", "within the answer's body"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", "within the answer's body"),
    ] {
        let failure = both(&Method::POST, said, false).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Disconnected, "{said}: {}", failure.detail);
        assert!(failure.detail.contains(words), "{said}: {}", failure.detail);
    }
    // Said too little of to be judged at once.
    assert_eq!(both(&Method::POST, "220 mail.test ESMTP\r\n", false).await.unwrap_err().cause, Cause::BadAnswer);
}

#[tokio::test(start_paused = true)]
async fn what_comes_at_rest_spoils_the_connection() {
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    for (early, late) in [(&b"x"[..], &b""[..]), (b"", b"x"), (b"", ok)] {
        let (ours, mut theirs) = duplex(1024);
        let mut connection = Http1::over(ours, true);
        theirs.write_all(&[ok, early].concat()).await.unwrap();
        let first = exchange(&mut connection, Method::POST).await.unwrap();
        assert_eq!((first.status, first.rests), (200, early.is_empty()));
        theirs.write_all(late).await.unwrap();
        for _ in 0..2 {
            let second = connection.send(&target(), &request(Method::POST), &SystemClock).await;
            assert!(matches!(second, Err(Unanswered::Unsent)), "{second:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_request_follows_the_first_and_its_end_is_noticed() {
    let (ours, mut theirs) = duplex(1024);
    let mut connection = Http1::over(ours, true);
    for body in ["ab", "c"] {
        let said = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let peer = async {
            assert!(theirs.read(&mut [0; 1024]).await.unwrap() > 0);
            theirs.write_all(said.as_bytes()).await.unwrap();
        };
        let (exchanged, ()) = tokio::join!(exchange(&mut connection, Method::POST), peer);
        assert_eq!(exchanged, Ok(Exchanged { status: 200, body: body.into(), rests: true }));
    }
    drop(theirs);
    let third = connection.send(&target(), &request(Method::POST), &SystemClock).await;
    assert!(matches!(third, Err(Unanswered::Unsent)), "{third:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_is_unsent_only_if_nothing_was_taken() {
    for (unbuffered, unsent) in [(true, true), (false, false)] {
        let (ours, theirs) = duplex(1024);
        drop(theirs);
        let mut connection = Http1::over(ours, unbuffered);
        let sent = connection.send(&target(), &request(Method::POST), &SystemClock).await;
        assert_eq!(matches!(sent, Err(Unanswered::Unsent)), unsent, "{sent:?}");
    }
    let (ours, mut theirs) = duplex(16);
    let taken = tokio::spawn(async move { theirs.read_exact(&mut [0; 8]).await.map(|_| ()) });
    let sent = Http1::over(ours, true).send(&target(), &request(Method::POST), &SystemClock).await;
    taken.await.unwrap().unwrap();
    assert!(matches!(&sent, Err(Unanswered::Failed(failure)) if failure.cause == Cause::Disconnected), "{sent:?}");
}

/// Bytes that are often almost an answer.
fn said() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 100 \r\n\r\n",
        "HTTP/1.1 204\n",
        "\r\n",
        "\n",
        "content-length: 3\r\n",
        "content-length: 4\r\n",
        "transfer-encoding: chunked\r\n",
        "connection: close\r\n",
        "a: b\r\n",
        "\r\n\r\n",
        "3\r\n",
        "abc\r\n",
        "0\r\n",
        "ffffffffffffffff\r\n",
        "1;x\r\n",
        ":",
        " ",
    ]);
    let word = prop_oneof![
        8 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    let start = prop::sample::select(vec!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]);
    (start, prop::collection::vec(word, 0..12)).prop_map(|(start, words)| [start.as_bytes(), &words.concat()].concat())
}

fn cut(said: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let (mut pieces, mut left) = (Vec::new(), said);
    for size in sizes.iter().cycle() {
        if left.is_empty() {
            break;
        }
        let (piece, rest) = left.split_at((*size).min(left.len()));
        pieces.push(piece.to_vec());
        left = rest;
    }
    pieces
}

proptest! {
    #[test]
    fn whatever_is_said_is_taken_the_same_way_however_it_is_cut(said in said(), sizes in prop::collection::vec(1usize..40, 1..6), stays: bool) {
        let pieces = cut(&said, &sizes);
        let whole = decode_answer([&said[..]], &SystemClock);
        prop_assert_eq!(&whole, &decode_answer(pieces.iter().map(Vec::as_slice), &SystemClock));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let exchanged = runtime.block_on(exchanged(Method::POST, pieces, stays));
        match exchanged {
            Ok(exchanged) => prop_assert_eq!(whole, Some((exchanged.status.try_into().unwrap(), exchanged.body.into()))),
            // Until the connection closes, there may be more to come.
            Err(failure) if failure.cause == Cause::HeadersTimeout => prop_assert!(stays, "it hangs"),
            Err(failure) => prop_assert!(whole.is_none(), "{failure:?}"),
        }
    }
}
