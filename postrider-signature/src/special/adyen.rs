//! Adyen's notifications: HMAC-SHA256 over eight fields of each item, joined by colons as they are, with nothing escaped.
//!
//! Rule: <https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures>. Every item carries its own
//! signature and each must be right. Fields outside the eight are not authenticated: that is the provider's rule.

use crate::special::Signed;
use crate::special::fields::{Scalar, object};
use crate::special::text::{base64, check_mac, hex, mac_key, to_base64};
use crate::{Refusal, Request, Verified};
use ring::hmac;
use serde_json::Value;

/// Items that one notification may carry. Adyen sends one with JSON, and at most six with others.
const ITEMS: usize = 500;

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    notification_items: Vec<Wrapped>,
}

#[derive(serde::Deserialize)]
struct Wrapped {
    #[serde(rename = "NotificationRequestItem")]
    item: Item,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    psp_reference: Option<String>,
    original_reference: Option<String>,
    merchant_account_code: Option<String>,
    merchant_reference: Option<String>,
    amount: Option<Amount>,
    event_code: Option<String>,
    success: Option<Scalar>,
    additional_data: Option<Additional>,
}

#[derive(serde::Deserialize)]
struct Amount {
    value: Option<Scalar>,
    currency: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Additional {
    hmac_signature: Option<String>,
}

pub(crate) fn verify(request: &Request<'_>, secret: &str) -> Result<Verified, Refusal> {
    let key = key(secret)?;
    let notification: Notification = object(request.body)?;
    let items = &notification.notification_items;
    if items.is_empty() {
        return Err(Refusal::MissingField("NotificationRequestItem".into()));
    }
    if items.len() > ITEMS {
        return Err(Refusal::Malformed("notificationItems".into(), "it has more items than are read"));
    }
    for Wrapped { item } in items {
        let signature = item.additional_data.as_ref().and_then(|data| data.hmac_signature.as_deref());
        let signature = signature.ok_or(Refusal::MissingField("additionalData.hmacSignature".into()))?;
        let signature = base64(signature.as_bytes());
        let signature = signature.ok_or(Refusal::Malformed("additionalData.hmacSignature".into(), "it is not base64"))?;
        check_mac(&key, content(item).as_bytes(), &signature)?;
    }
    let [Wrapped { item }] = items.as_slice() else { return Ok(Verified::default()) };
    Ok(Verified { event_id: item.event_id(), event_type: item.event_code.clone(), ..Verified::default() })
}

/// Puts the signature into every item of the body.
pub(crate) fn sign(request: &Request<'_>, secret: &str) -> Result<Signed, Refusal> {
    let key = key(secret)?;
    let notification: Notification = object(request.body)?;
    let mut body: Value = object(request.body)?;
    let values = body.get_mut("notificationItems").and_then(Value::as_array_mut).into_iter().flatten();
    for (value, Wrapped { item }) in values.zip(&notification.notification_items) {
        let tag = to_base64(hmac::sign(&key, content(item).as_bytes()).as_ref());
        if let Some(item) = value.get_mut("NotificationRequestItem").and_then(Value::as_object_mut) {
            let data = item.entry("additionalData").or_insert_with(|| serde_json::json!({}));
            data.as_object_mut().into_iter().for_each(|data| drop(data.insert("hmacSignature".to_owned(), tag.clone().into())));
        }
    }
    Ok(Signed { body: Some(body.to_string().into_bytes()), ..Signed::default() })
}

impl Item {
    /// Retries repeat reference and code; a changed outcome is another event.
    fn event_id(&self) -> Option<String> {
        let (reference, code) = (self.psp_reference.as_ref()?, self.event_code.as_ref()?);
        Some(format!("{reference}:{code}:{}", self.success.as_ref().map(ToString::to_string).unwrap_or_default()))
    }
}

fn key(secret: &str) -> Result<hmac::Key, Refusal> {
    let bytes = hex(secret.trim()).ok_or(Refusal::BadSecret("it is not hexadecimal"))?;
    mac_key(hmac::HMAC_SHA256, &bytes)
}

fn content(item: &Item) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let scalar = |field: Option<&Scalar>| field.map(ToString::to_string).unwrap_or_default();
    let amount = item.amount.as_ref();
    [
        text(&item.psp_reference),
        text(&item.original_reference),
        text(&item.merchant_account_code),
        text(&item.merchant_reference),
        scalar(amount.and_then(|amount| amount.value.as_ref())),
        amount.map(|amount| text(&amount.currency)).unwrap_or_default(),
        text(&item.event_code),
        scalar(item.success.as_ref()),
    ]
    .join(":")
}
