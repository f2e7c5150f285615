//! Any bytes as the fields of every form of the dashboard and of the portal: what is asked of the API is a JSON object or a
//! path that a request can have, whatever was typed.

use postrider::dashboard::forms::{Asked, read};

pub fn run(data: &[u8]) {
    for (form, asked) in read(data) {
        match asked {
            Ok(Asked::Body(body)) => assert!(body.is_object(), "{form}: {body}"),
            Ok(Asked::Path(path)) => assert!(path.parse::<http::Uri>().is_ok_and(|uri| uri.to_string() == path), "{form}: {path}"),
            Ok(Asked::View) | Err(_) => {}
        }
    }
}
