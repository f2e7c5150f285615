//! Any text as an envelope and as a header's template: what is read can be filled, and an envelope makes JSON.

use postrider::model::{AppId, Application, EndpointId, Envelope, Facts, Message, Metadata, MsgId, OrgId, Template, Time};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let message = Message {
        id: MsgId(1),
        app: AppId(1),
        org: OrgId(1),
        event_type: "a.b".into(),
        event_id: None,
        channels: Vec::new(),
        tags: Vec::new(),
        deliver_at: None,
        payload_expires_at: None,
        endpoints: Vec::new(),
        payload: br#"{"a":1}"#.as_slice().into(),
        expunged: false,
        origin: None,
        ordering_key: None,
        ordered: Vec::new(),
    };
    let application = Application {
        id: AppId(1),
        org: OrgId(1),
        uid: None,
        name: text.chars().take(20).collect(),
        throttle_rate: None,
        metadata: Metadata::new(),
        profile: None,
        retry_policy: None,
        created_at: Time(0),
        updated_at: Time(0),
    };
    let facts = Facts { message: &message, application: &application, endpoint: EndpointId(1), sent: Time(1), attempt: 1 };
    if let Ok(template) = Template::try_from(text.to_owned()) {
        drop(template.fill(&facts));
    }
    if let Ok(envelope) = Envelope::parse(text) {
        let body = envelope.fill(&facts, false);
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    }
}
