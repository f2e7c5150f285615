//! AWS SNS: RSA over named fields of the body, each as `name\nvalue\n`, in the order of their names.
//!
//! Rule: <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>. Version 1 is SHA-1, version 2 SHA-256.
//! Any AWS customer's topic is signed with the same certificates, so the setting `topic_arn` should say which topic is expected.
//! The timestamp is that of publishing, not of sending, and SNS retries for days: it is reported, not judged.

use crate::special::Signed;
use crate::special::address::{is_sns, own_address};
use crate::special::certificate::{Algorithm, PublicKey, rsa_sha256};
use crate::special::fields::{needed, object};
use crate::special::text::{base64, instant_ms, to_base64};
use crate::{Refusal, Request, Verified};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The setting that pins the topic.
const TOPIC: &str = "topic_arn";
/// The certificate address that a signed test request carries.
const OWN_CERTIFICATE: &str = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-test.pem";

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    topic_arn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "SubscribeURL")]
    subscribe_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    signature_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "SigningCertURL")]
    signing_cert_url: Option<Cow<'a, str>>,
}

pub(crate) fn verify(request: &Request<'_>, secret: &str, settings: &BTreeMap<String, String>) -> Result<Verified, Refusal> {
    let envelope: Envelope<'_> = object(request.body)?;
    let algorithm = match needed(envelope.signature_version.as_ref(), "SignatureVersion")? {
        "1" => Algorithm::RsaSha1,
        "2" => Algorithm::RsaSha256,
        other => return Err(Refusal::WrongAlgorithm(other.chars().take(40).collect::<String>().into())),
    };
    let address = own_address(needed(envelope.signing_cert_url.as_ref(), "SigningCertURL")?, is_sns)?;
    if !address.split(['?', '#']).next().is_some_and(|path| path.ends_with(".pem")) {
        return Err(Refusal::ForeignAddress(address.chars().take(200).collect::<String>().into()));
    }
    let signature = base64(needed(envelope.signature.as_ref(), "Signature")?.as_bytes());
    let signature = signature.ok_or(Refusal::Malformed("Signature".into(), "it is not base64"))?;
    PublicKey::parse(secret)?.verify(algorithm, content(&envelope)?.as_bytes(), &signature)?;
    if settings.get(TOPIC).is_some_and(|topic| envelope.topic_arn.as_deref() != Some(topic)) {
        return Err(Refusal::Malformed("TopicArn".into(), "it is not the topic that the setting topic_arn expects"));
    }
    Ok(Verified {
        secret: 0,
        event_id: envelope.message_id.map(Cow::into_owned),
        timestamp_ms: envelope.timestamp.as_deref().and_then(instant_ms),
        event_type: envelope.r#type.map(Cow::into_owned),
    })
}

/// Signs an SNS message with version 2. The body is the message without its signature.
pub(crate) fn sign(request: &Request<'_>, secret: &str) -> Result<Signed, Refusal> {
    let mut body: serde_json::Map<String, serde_json::Value> = object(request.body)?;
    let envelope: Envelope<'_> = object(request.body)?;
    let signature = rsa_sha256(secret, content(&envelope)?.as_bytes())?;
    body.insert("SignatureVersion".to_owned(), "2".into());
    body.insert("Signature".to_owned(), to_base64(&signature).into());
    body.insert("SigningCertURL".to_owned(), OWN_CERTIFICATE.into());
    let signed = Signed { body: Some(serde_json::Value::Object(body).to_string().into_bytes()), ..Signed::default() };
    Ok(signed.header("x-amz-sns-message-type", needed(envelope.r#type.as_ref(), "Type")?))
}

/// What is signed, for the message's type.
fn content(envelope: &Envelope<'_>) -> Result<String, Refusal> {
    let subscription = match needed(envelope.r#type.as_ref(), "Type")? {
        "Notification" => false,
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => true,
        _ => return Err(Refusal::Malformed("Type".into(), "it is not one of the types that SNS sends")),
    };
    let mut content = String::new();
    let mut line = |name: &'static str, value: &str| content.extend([name, "\n", value, "\n"]);
    line("Message", needed(envelope.message.as_ref(), "Message")?);
    line("MessageId", needed(envelope.message_id.as_ref(), "MessageId")?);
    if subscription {
        line("SubscribeURL", needed(envelope.subscribe_url.as_ref(), "SubscribeURL")?);
    } else if let Some(subject) = &envelope.subject {
        line("Subject", subject);
    }
    line("Timestamp", needed(envelope.timestamp.as_ref(), "Timestamp")?);
    if subscription {
        line("Token", needed(envelope.token.as_ref(), "Token")?);
    }
    line("TopicArn", needed(envelope.topic_arn.as_ref(), "TopicArn")?);
    line("Type", needed(envelope.r#type.as_ref(), "Type")?);
    Ok(content)
}
