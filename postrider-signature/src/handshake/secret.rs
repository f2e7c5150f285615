//! Handshakes that bring the secret. Whoever comes first could bring one, so it is taken only while the source awaits it; the same
//! secret once more (the provider did not get the answer) is answered as before, any other is refused.

use super::{Reply, Shake, body};
use crate::Request;
use crate::special::header;
use subtle::ConstantTimeEq;

/// Bytes of a secret that is taken.
const BYTES: std::ops::RangeInclusive<usize> = 16..=256;
const HOOK_SECRET: &str = "X-Hook-Secret";

/// <https://developers.asana.com/docs/webhooks-guide#the-webhook-handshake>
pub(super) fn asana(request: &Request<'_>, secrets: &[&str], awaits_secret: bool) -> Option<Shake> {
    request.header(HOOK_SECRET)?;
    let Ok(secret) = header(request, HOOK_SECRET) else { return Some(Shake::Refuse(Reply::empty(400))) };
    let reply = Reply { headers: vec![(HOOK_SECRET, secret.to_owned())], ..Reply::empty(200) };
    Some(take(secret, secrets, awaits_secret, reply))
}

/// <https://developers.notion.com/reference/webhooks#step-2-validating-a-webhook-subscription>
pub(super) fn notion(request: &Request<'_>, secrets: &[&str], awaits_secret: bool) -> Option<Shake> {
    #[derive(serde::Deserialize)]
    struct Body {
        verification_token: String,
        r#type: Option<serde::de::IgnoredAny>,
    }
    let token = body::<Body>(request).filter(|body| body.r#type.is_none())?.verification_token;
    Some(take(&token, secrets, awaits_secret, Reply::empty(200)))
}

fn take(secret: &str, secrets: &[&str], awaits_secret: bool, reply: Reply) -> Shake {
    if !BYTES.contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Shake::Refuse(Reply::empty(400));
    }
    if secrets.iter().fold(false, |found, known| found | bool::from(known.as_bytes().ct_eq(secret.as_bytes()))) {
        return Shake::Reply(reply);
    }
    if awaits_secret { Shake::SetSecret { secret: secret.to_owned(), reply } } else { Shake::Refuse(Reply::empty(403)) }
}
