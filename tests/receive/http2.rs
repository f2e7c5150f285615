//! Receiving over HTTP/2 with prior knowledge: the same as over HTTP/1.1.

use crate::{
    fixture::Hub,
    signed::{SECRET, Signed, github, hubspot, now},
};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

type Sender = http2::SendRequest<Full<bytes::Bytes>>;

async fn connect(hub: &Hub) -> Sender {
    let stream = TokioIo::new(TcpStream::connect(hub.server.address()).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// The status and the body.
async fn deliver(mut sender: Sender, url: String, signed: Signed) -> (u16, String) {
    let mut request = Request::builder().method(signed.method.as_str()).uri(url);
    for (name, value) in &signed.headers {
        request = request.header(name, value);
    }
    let answer = sender.send_request(request.body(Full::new(signed.body)).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn events_are_received_side_by_side_on_one_connection() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "forwardHeaders": ["x-github-event"]})).await;
    hub.endpoint("/hook", json!({})).await;
    let sender = connect(&hub).await;
    let post = |id: u32| {
        let request = github("push", &(id / 2).to_string(), Signed::json(&json!({"id": id / 2}).to_string()));
        deliver(sender.clone(), hub.url(&source), request)
    };
    for (status, body) in futures_util::future::join_all((0..20).map(post)).await {
        assert_eq!((status, body.as_str()), (200, ""));
    }
    assert_eq!(hub.events(&source).await.len(), 10, "what came twice is one event");
    assert_eq!(hub.receiver.wait("/hook", 10).await[0].header("x-github-event"), "push");
    let (status, body) = deliver(sender.clone(), hub.url(&source), github("push", "x", Signed::json("{}")).body("[]")).await;
    assert_eq!((status, body.contains("mismatch")), (401, true));
    assert_eq!(deliver(sender, format!("{}/in/nobody", hub.server.url()), Signed::json("{}")).await.0, 404);
}

#[tokio::test]
async fn the_url_that_is_signed_is_the_one_that_was_called() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "hubspot-v3", "secret": SECRET})).await;
    let sender = connect(&hub).await;
    let request = hubspot(&hub.url(&source), "[]", now());
    assert_eq!(deliver(sender.clone(), hub.url(&source), request).await.0, 200);
    let request = hubspot("http://elsewhere.example/in/x", "[]", now());
    assert_eq!(deliver(sender, hub.url(&source), request).await.0, 401);
}

#[tokio::test]
async fn a_long_body_is_refused_and_the_connection_stays() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "maxBody": 2048})).await;
    let sender = connect(&hub).await;
    let long = github("push", "1", Signed::new("POST", vec![b'x'; 1 << 20]));
    let (status, body) = deliver(sender.clone(), hub.url(&source), long).await;
    assert_eq!((status, body.contains("too_large")), (413, true));
    let good = github("push", "2", Signed::json("{}"));
    assert_eq!(deliver(sender, hub.url(&source), good).await.0, 200);
}
